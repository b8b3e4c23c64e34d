"""The 27 states of Brazil as a tile grid map."""

from typing import NamedTuple


class Tile(NamedTuple):
    """A state: its official abbreviation, its name and its position in the grid."""

    code: str
    name: str
    row: int
    column: int

    @property
    def cell(self) -> str:
        """Its place in a CSS grid."""
        return f"{self.row + 1} / {self.column + 1}"


TILES = (
    Tile("RR", "Roraima", 0, 1),
    Tile("AP", "Amapá", 0, 3),
    Tile("AM", "Amazonas", 1, 1),
    Tile("PA", "Pará", 1, 2),
    Tile("MA", "Maranhão", 1, 3),
    Tile("CE", "Ceará", 1, 4),
    Tile("RN", "Rio Grande do Norte", 1, 5),
    Tile("AC", "Acre", 2, 0),
    Tile("RO", "Rondônia", 2, 1),
    Tile("TO", "Tocantins", 2, 2),
    Tile("PI", "Piauí", 2, 3),
    Tile("PE", "Pernambuco", 2, 4),
    Tile("PB", "Paraíba", 2, 5),
    Tile("MT", "Mato Grosso", 3, 1),
    Tile("GO", "Goiás", 3, 2),
    Tile("BA", "Bahia", 3, 3),
    Tile("SE", "Sergipe", 3, 4),
    Tile("AL", "Alagoas", 3, 5),
    Tile("MS", "Mato Grosso do Sul", 4, 1),
    Tile("DF", "Distrito Federal", 4, 2),
    Tile("MG", "Minas Gerais", 4, 3),
    Tile("ES", "Espírito Santo", 4, 4),
    Tile("PR", "Paraná", 5, 1),
    Tile("SP", "São Paulo", 5, 2),
    Tile("RJ", "Rio de Janeiro", 5, 3),
    Tile("SC", "Santa Catarina", 6, 1),
    Tile("RS", "Rio Grande do Sul", 7, 1),
)

_BY_NAME = {name.casefold(): tile for tile in TILES for name in (tile.code, tile.name)}


def tile_of(state: str) -> Tile | None:
    """Find a state by name or abbreviation; return None if there is none."""
    return _BY_NAME.get(state.strip().casefold())
