"""Partitions: a partition is the rows of its key, and writing replaces them alone."""

import dagster as dg

from io_manager_conformance.fruits import SHOPS, joined, shop_table, stock, two_shops
from io_manager_conformance.subject import Subject
from io_manager_conformance.table_under_test import expect


def replacing_one_partition_leaves_the_others(subject: Subject) -> None:
    """Writing a partition replaces its rows and no others, because each partition has its own run."""
    fruits = shop_table(subject)
    fruits.write(stock("north", "apple", "pear"), "north")
    fruits.write(stock("south", "fig"), "south")

    fruits.write(stock("north", "quince"), "north")

    expect(fruits.stored(), stock("north", "quince"), stock("south", "fig"))


def a_repeated_write_never_doubles_rows(subject: Subject) -> None:
    """A row of another partition in the frame is refused, or stored once: a repeated run must not store it twice."""
    fruits = two_shops(subject)
    astray = joined(stock("north", "apple"), stock("south", "quince"))

    for _ in range(2):
        fruits.attempt(subject.make_frame(astray), "north")

    names = [row["name"] for row in fruits.stored() or ()]
    assert names.count("quince") <= 1, f"stored twice: {names}"


def a_downstream_partition_reads_the_same_partition(subject: Subject) -> None:
    """An asset of the same partitions reads the rows of its own partition alone."""
    fruits = two_shops(subject)

    expect(fruits.rows("south"), stock("south", "fig"))


def an_unpartitioned_downstream_reads_all_partitions(subject: Subject) -> None:
    """An asset without partitions reads the rows of all."""
    fruits = two_shops(subject)

    expect(fruits.rows(), stock("north", "apple", "pear"), stock("south", "fig"))


def a_mapping_to_chosen_partitions_reads_those_alone(subject: Subject) -> None:
    """A partition mapping to two partitions that are not neighbours reads these two, and none between."""
    fruits = shop_table(subject)
    shops = ("north", "south", "west")
    fruits.write(joined(*(stock(shop, "apple") for shop in shops)), ("north", "west"))

    frame = fruits.read(mapping=dg.SpecificPartitionsPartitionMapping(["north", "west"]))

    expect(subject.rows_of(frame), stock("north", "apple"), stock("west", "apple"))


def an_empty_frame_empties_its_partition_alone(subject: Subject) -> None:
    """A partition without rows loses its old ones, and the other partitions keep theirs."""
    fruits = two_shops(subject)

    fruits.write_empty(stock("north", "apple"), "north")

    expect(fruits.stored(), stock("south", "fig"))


def a_partition_never_written_reads_as_empty(subject: Subject) -> None:
    """A partition that has no rows reads as a frame without rows, not as an error or as another partition."""
    fruits = two_shops(subject)

    expect(fruits.rows("west"))


def dynamic_partitions_are_replaced_one_by_one(subject: Subject) -> None:
    """Partitions that are added at run time are replaced as those known before."""
    fruits = shop_table(subject, dg.DynamicPartitionsDefinition(name="shops"))
    subject.instance.add_dynamic_partitions("shops", ["new", "newer"])
    fruits.write(stock("new", "apple"), "new")
    fruits.write(stock("newer", "fig"), "newer")

    fruits.write(stock("new", "quince"), "new")

    expect(fruits.rows("new"), stock("new", "quince"))
    expect(fruits.rows(), stock("new", "quince"), stock("newer", "fig"))


def a_range_of_keys_is_replaced_in_one_run(subject: Subject) -> None:
    """A backfill in a single run replaces the partitions of its range, and those outside stay."""
    fruits = shop_table(subject)
    all_shops = joined(*(stock(shop, "apple", "pear") for shop in SHOPS.get_partition_keys()))
    fruits.write(all_shops, ("north", "west"))

    fruits.write(joined(stock("east", "fig"), stock("south", "quince")), ("east", "south"))

    replaced = [stock("east", "fig"), stock("south", "quince")]
    expect(fruits.rows(("east", "south")), *replaced)
    expect(fruits.stored(), stock("north", "apple", "pear"), *replaced, stock("west", "apple", "pear"))


def a_partition_is_found_by_an_expression(subject: Subject) -> None:
    """`partition_expr` may be an SQL expression, for keys that are in no column as they are."""
    fruits = shop_table(subject, partition_expr="lower(shop)")
    fruits.write(joined(stock("NORTH", "apple", "pear"), stock("SOUTH", "fig")), ("north", "south"))

    fruits.write(stock("North", "quince"), "north")

    expect(fruits.rows("north"), stock("North", "quince"))
    expect(fruits.stored(), stock("North", "quince"), stock("SOUTH", "fig"))


def a_partition_is_found_by_a_column_with_capitals(subject: Subject) -> None:
    """A column whose name SQL would fold to small letters identifies partitions as any other."""
    fruits = shop_table(subject, partition_expr="soldBy")
    fruits.write({"soldBy": ["north", "south"], "name": ["apple", "fig"]}, ("north", "south"))

    fruits.write({"soldBy": ["north"], "name": ["quince"]}, "north")

    expect(fruits.stored(), {"soldBy": ["north", "south"], "name": ["quince", "fig"]})


def a_partition_is_found_by_a_column_of_numbers(subject: Subject) -> None:
    """Keys are texts, and the column that they are compared with may be one of numbers, which stay numbers."""
    years = dg.StaticPartitionsDefinition(["2023", "2024"])
    fruits = shop_table(subject, years, partition_expr="year")
    fruits.write({"year": [2023, 2024], "name": ["apple", "fig"]}, ("2023", "2024"))

    fruits.write({"year": [2023], "name": ["quince"]}, "2023")

    expect(fruits.rows("2023"), {"year": [2023], "name": ["quince"]})
    expect(fruits.stored(), {"year": [2023, 2024], "name": ["quince", "fig"]})


def a_key_of_any_characters_is_only_a_value(subject: Subject) -> None:
    """Quotes, percent signs and backslashes in a key are part of a value, because keys may come from outside."""
    keys = ["o'brien'; DROP TABLE fruits; --", '100% %s {x} "hi"', "a\\b:name", "maçã 🍎"]
    fruits = shop_table(subject, dg.StaticPartitionsDefinition(keys))
    fruits.write(joined(*(stock(key, "apple", "pear") for key in keys)), (keys[0], keys[-1]))

    for key in keys:
        quince = fruits.asset(subject.make_frame(stock(key, "quince")))
        frame = fruits.read(key, upstream=quince)
        expect(subject.rows_of(frame), stock(key, "quince"))

    expect(fruits.stored(), *(stock(key, "quince") for key in keys))


def a_partitioned_asset_without_an_expression_is_refused_by_name(subject: Subject) -> None:
    """Without `partition_expr` nothing says which rows to replace: the error names the asset and the missing entry."""
    fruits = shop_table(subject, partition_expr=None)

    said = fruits.refusal_of(subject.make_frame(stock("north", "apple")), "north")

    assert "fruits" in said, said
    assert "partition_expr" in said, said
