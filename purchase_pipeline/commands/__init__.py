"""The commands of `purchase-pipeline`, by what a person wants from them."""
