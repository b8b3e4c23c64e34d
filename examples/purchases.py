"""A marimo notebook on the live tables: `marimo edit examples/purchases.py`."""

import marimo

app = marimo.App(width="medium", app_title="Purchases")


@app.cell
def _():
    import marimo as mo
    import pandas as pd
    import sqlalchemy as sa

    from purchase_pipeline.postgres.connections import engine_for
    from purchase_pipeline.settings import current_settings
    from purchase_pipeline.stack.database import database_url, reader_url, start_database

    settings = current_settings()
    start_database(settings)
    engine = engine_for(reader_url(settings) or database_url(settings))
    return engine, mo, pd, sa


@app.cell
def _(mo):
    mo.md("""
    # Purchases

    From the live tables, as a read-only role. Change a cell, and the cells that depend on it update.
    """)


@app.cell
def _(engine, mo, pd, sa):
    lots = pd.read_sql(
        sa.text(
            "SELECT count(*) AS lots, sum(rows)::bigint AS rows FROM slice_ledger WHERE asset = 'tabela_compras'"
        ),
        engine,
    )
    mo.md(f"**{lots.lots[0]:,} batches, {lots.rows[0]:,} purchases** are loaded.")


@app.cell
def _(engine, pd, sa):
    states = pd.read_sql(sa.text("SELECT DISTINCT state FROM tabela_compras ORDER BY state"), engine)
    return (states,)


@app.cell
def _(mo, states):
    state = mo.ui.dropdown(options=list(states.state), value=states.state[0], label="State")
    state
    return (state,)


@app.cell
def _(engine, pd, sa, state):
    categories = pd.read_sql(
        sa.text(
            "SELECT category, count(*) AS purchases, sum(price) AS revenue "
            "FROM tabela_compras WHERE state = :state GROUP BY category ORDER BY revenue DESC"
        ),
        engine,
        params={"state": state.value},
    )
    categories


if __name__ == "__main__":
    app.run()
