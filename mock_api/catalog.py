"""Products, stores and payment types: the fixed lists of the original API.

How often each occurs is in `mock_api.market`.
"""

from typing import NamedTuple


class Product(NamedTuple):
    """A product; a purchase takes its category, brand and price (R$) from it."""

    category: str
    product: str
    brand: str
    price: float


PRODUCTS = (
    Product("Eletrônicos", "Smartphone Android Pro X", "Samsung", 1899.90),
    Product("Eletrônicos", "Notebook Gamer G15", "Dell", 5499.00),
    Product("Eletrônicos", "Smart TV QLED 65'", "LG", 4299.00),
    Product("Eletrônicos", "Fone Bluetooth Cancel. Ruído", "Sony", 799.00),
    Product("Eletrônicos", "Câmera Mirrorless Alpha Z", "Canon", 8500.00),
    Product("Acessórios", "Mouse Gamer Óptico", "Logitech", 249.00),
    Product("Acessórios", "Teclado Mecânico RGB TKL", "Redragon", 499.00),
    Product("Acessórios", "Monitor Curvo Ultrawide 34'", "AOC", 2999.00),
    Product("Acessórios", "Webcam Full HD com Microfone", "Diversos", 189.00),
    Product("Acessórios", "HD Externo 2TB USB 3.0", "Seagate", 350.00),
    Product("Casa", "Cafeteira Expresso Automática", "Nespresso", 2150.00),
    Product("Casa", "Air Fryer Digital 5L", "Mondial", 499.00),
    Product("Casa", "Robô Aspirador Inteligente", "iRobot", 1350.00),
    Product("Casa", "Conjunto de Panelas Antiaderente", "Tramontina", 389.00),
    Product("Moda", "Tênis Esportivo Performance", "Nike", 529.90),
    Product("Moda", "Relógio Smartwatch G8", "Xiaomi", 999.00),
    Product("Moda", "Mochila Executiva Impermeável", "Samsonite", 179.90),
    Product("Mídia", "Ebook Reader Tela Tinta Eletrônica", "Kindle", 699.00),
    Product("Saúde", "Escova de Dente Elétrica Sônica", "Oral-B", 350.00),
    Product("Saúde", "Kit de Vitaminas e Suplementos", "Growth", 120.00),
)

PAYMENT_TYPES = (
    "Cartão de Crédito",
    "Cartão de Débito",
    "Dinheiro",
    "Boleto",
    "PIX",
    "Transferência Bancária",
)

STORES = range(1, 13)
