"""A marimo notebook that browses the live tables: `marimo edit examples/purchases.py`."""

import marimo

app = marimo.App(width="full", app_title="Purchases")


@app.cell
def _():
    import marimo as mo
    import pandas as pd
    import sqlalchemy as sa

    from purchase_pipeline.ingest.printable import sheet_cell
    from purchase_pipeline.postgres.connections import engine_for
    from purchase_pipeline.settings import current_settings
    from purchase_pipeline.stack.database import database_url, reader_url, start_database

    settings = current_settings()
    start_database(settings)
    engine = engine_for(reader_url(settings) or database_url(settings))
    return engine, mo, pd, sa, sheet_cell


@app.cell
def _(engine, mo, pd, sa):
    lots = pd.read_sql(
        sa.text(
            "SELECT count(*) AS lots, sum(rows)::bigint AS rows FROM slice_ledger WHERE asset = 'tabela_compras'"
        ),
        engine,
    )
    mo.md(f"""
    # Purchases

    **{lots.lots[0]:,} batches, {lots.rows[0]:,} purchases** are loaded. Below are the live tables, as a read-only role
    sees them: choose a table, filter it, download what is left.
    """)


@app.cell
def _(engine, mo, sa):
    names = sorted(sa.inspect(engine).get_table_names())
    name = mo.ui.dropdown(options=names, value="tabela_compras", label="Table")
    name
    return (name,)


@app.cell
def _(engine, mo, name, pd, sa):
    # A column is a facet if the first rows have few values of it.
    most_values = 60
    table = sa.Table(name.value, sa.MetaData(), autoload_with=engine)
    sample = pd.read_sql(table.select().limit(10_000), engine)
    texts = [column.name for column in table.columns if isinstance(column.type, sa.String)]
    options = {text: sorted(sample[text].dropna().unique()) for text in texts}
    facets = mo.ui.dictionary(
        {
            text: mo.ui.multiselect(values, label=text)
            for text, values in options.items()
            if 1 < len(values) <= most_values
        }
    )
    search = mo.ui.text(placeholder="in any text column", label="Search")
    mo.hstack([search, *facets.elements.values()], wrap=True, justify="start")
    return facets, search, table, texts


@app.cell
def _(facets, search):
    chosen, sought = facets.value, search.value
    return chosen, sought


@app.cell
def _(chosen, engine, pd, sa, sought, table, texts):
    matches = [table.c[column].in_(values) for column, values in chosen.items() if values]
    if sought:
        matches.append(sa.or_(*(table.c[text].icontains(sought, autoescape=True) for text in texts)))

    def counted(*columns):
        count = sa.func.count().label("rows")
        query = sa.select(*columns, count).select_from(table).where(*matches).group_by(*columns)
        return pd.read_sql(query.order_by(count.desc()), engine)

    def rows(most=None):
        return pd.read_sql(table.select().where(*matches).limit(most), engine, coerce_float=False)

    found = counted().rows[0]
    counts = {column: counted(table.c[column]) for column in chosen}
    return counts, found, rows


@app.cell
def _(counts, found, mo, name, rows, sheet_cell):
    def as_csv():
        # Text that a spreadsheet would run as a formula is escaped.
        return rows().map(sheet_cell).to_csv(index=False).encode()

    download = mo.download(
        as_csv,
        filename=f"{name.value}.csv",
        mimetype="text/csv",
        label=f"Download all {found:,} rows as CSV",
    )
    plain = {"selection": None, "show_download": False, "show_column_summaries": False}
    facet_counts = [
        mo.ui.table(count, label=column, page_size=8, show_search=False, show_data_types=False, **plain)
        for column, count in counts.items()
    ]
    mo.vstack(
        [
            mo.hstack([mo.md(f"**{found:,} rows**, of which the first 1,000:"), download]),
            mo.ui.table(rows(1000), **plain),
            mo.hstack(facet_counts, wrap=True, justify="start"),
        ]
    )
    return (as_csv,)


if __name__ == "__main__":
    app.run()
