"""The fixed lists of the mock API are those of the original."""

from mock_api.catalog import PAYMENT_TYPES, PRODUCTS, STORES, Product


def test_there_are_twenty_products_in_six_categories() -> None:
    assert len({product.product for product in PRODUCTS}) == 20
    assert {product.category for product in PRODUCTS} == {
        "Eletrônicos",
        "Acessórios",
        "Casa",
        "Moda",
        "Mídia",
        "Saúde",
    }


def test_every_product_has_one_price_and_brand() -> None:
    assert Product("Moda", "Tênis Esportivo Performance", "Nike", 529.90) in PRODUCTS
    assert sum(round(product.price * 100) for product in PRODUCTS) == 3_254_870


def test_there_are_six_payment_types_and_twelve_stores() -> None:
    assert len(set(PAYMENT_TYPES)) == 6
    assert list(STORES) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
