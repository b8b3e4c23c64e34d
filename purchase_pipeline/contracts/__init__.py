"""Contracts: pydantic models of a row, ready field types, and the contract of a purchase.

Table DDL, COPY order, quarantine reasons, Dagster's column schema and the checks derive from a contract. Each ready
type accepts JSON and CSV, and only values that its column holds.
"""

from purchase_pipeline.contracts.columns import contract_from_columns
from purchase_pipeline.contracts.forms import Explained, ReceivedAs
from purchase_pipeline.contracts.numbers import BigInteger, DecimalComma, DecimalOf, Integer, Money, Number
from purchase_pipeline.contracts.purchase import BirthDate, CompraSchema, PurchaseDate
from purchase_pipeline.contracts.request import FROM_REQUEST, FromRequest
from purchase_pipeline.contracts.texts import UUID, Bool, BooleanIn, Json, LongText, Text
from purchase_pipeline.contracts.times import Date, DateIn, LocalMoment, Moment, MomentIn

__all__ = [
    "FROM_REQUEST",
    "UUID",
    "BigInteger",
    "BirthDate",
    "Bool",
    "BooleanIn",
    "CompraSchema",
    "Date",
    "DateIn",
    "DecimalComma",
    "DecimalOf",
    "Explained",
    "FromRequest",
    "Integer",
    "Json",
    "LocalMoment",
    "LongText",
    "Moment",
    "MomentIn",
    "Money",
    "Number",
    "PurchaseDate",
    "ReceivedAs",
    "Text",
    "contract_from_columns",
]
