"""The mock API's fixed lists are the original's."""

from mock_api.catalog import PAYMENT_TYPES, PRODUCTS, STORES, Product


def test_twenty_products_lie_in_six_categories() -> None:
    assert len({product.product for product in PRODUCTS}) == 20
    assert {product.category for product in PRODUCTS} == {
        "Eletrônicos",
        "Acessórios",
        "Casa",
        "Moda",
        "Mídia",
        "Saúde",
    }


def test_a_product_keeps_its_price_and_brand() -> None:
    assert Product("Moda", "Tênis Esportivo Performance", "Nike", 529.90) in PRODUCTS
    assert sum(round(product.price * 100) for product in PRODUCTS) == 3_254_870


def test_six_ways_to_pay_in_twelve_stores() -> None:
    assert len(set(PAYMENT_TYPES)) == 6
    assert list(STORES) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
