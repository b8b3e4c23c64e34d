"""The texts of the report, in Portuguese and English. `{...}` are filled with formatted values."""

from dataclasses import dataclass

from purchase_pipeline.sales.report.formats import ENGLISH, PORTUGUESE, Formats


@dataclass(frozen=True)
class ExhibitTexts:
    """The texts of one exhibit: its title, the header of its first column, its finding, a note on the chart."""

    title: str
    header: str
    finding: str
    note: str = ""


@dataclass(frozen=True)
class QualityTexts:
    """The texts of the data quality section."""

    title: str
    lead: str
    lots: str
    received: str
    loaded: str
    rejected: str
    rate: str
    lot: str
    adds_up: str
    yes: str
    no: str
    conserved: str
    violated: str
    violator: str
    covered: str
    uncovered: str
    freshness: str
    reasons: str
    no_rejects: str
    reason: str
    rows: str
    in_lots: str
    example: str
    by_lot: str


@dataclass(frozen=True)
class Texts:
    """All texts of the report in one language, with its number formats."""

    code: str
    language: str
    formats: Formats
    title: str
    period: str
    revenue: str
    purchases: str
    ticket: str
    customers: str
    customers_note: str
    empty: str
    over_time: str
    what_sells: str
    where_and_who: str
    months: ExhibitTexts
    panels: ExhibitTexts
    panel: str
    panel_average: str
    categories: ExhibitTexts
    products: ExhibitTexts
    brands: ExhibitTexts
    states: ExhibitTexts
    stores: ExhibitTexts
    payments: ExhibitTexts
    ages: ExhibitTexts
    store: str
    numbers: str
    more_rows: str
    share: str
    quality: QualityTexts
    written_at: str


PT = Texts(
    code="pt-BR",
    language="Português",
    formats=PORTUGUESE,
    title="Relatório de vendas",
    period="Compras de {first} a {last}",
    revenue="Receita",
    purchases="Compras",
    ticket="Tíquete médio",
    customers="Clientes",
    customers_note="por nome, sobrenome e data de nascimento",
    empty="Ainda não há compras. Execute",
    over_time="Mês a mês",
    what_sells="Produtos e formas de pagamento",
    where_and_who="Onde e para quem",
    months=ExhibitTexts(
        "Receita por mês, em {unit}",
        "Mês",
        "Média de {average} por mês; o melhor foi {best}, com {most}.",
        "Linha pontilhada: média dos meses completos. Em tom claro: mês incompleto.",
    ),
    panels=ExhibitTexts(
        "Cada categoria em relação à própria média mensal",
        "Mês",
        "{category} é a que mais varia: de {lowest} a {highest} em relação à média.",
        "Somente meses completos. A escala é a mesma em todos os gráficos.",
    ),
    panel_average="média de {average}",
    panel="{category}: média de {average} por mês, de {lowest} a {highest}",
    categories=ExhibitTexts("Receita por categoria", "Categoria", "{best} representa {share} da receita."),
    products=ExhibitTexts(
        "Os dez produtos com maior receita",
        "Produto",
        "{best} lidera, com {share} da receita; os {count} primeiros somam {together}.",
    ),
    brands=ExhibitTexts(
        "As dez marcas com maior receita",
        "Marca",
        "{best} lidera, com {share} da receita; as {count} primeiras somam {together}.",
    ),
    states=ExhibitTexts(
        "Receita por estado, em {unit}",
        "Estado",
        "{best} lidera, com {most}; {last} fica em último, com {least}.",
        "Quanto mais escuro, maior a receita; a escala começa no menor valor, não em zero.",
    ),
    stores=ExhibitTexts("Receita por loja", "Loja", "A {best} lidera, {gap} acima da última, a {last}."),
    payments=ExhibitTexts(
        "Receita por forma de pagamento", "Forma de pagamento", "{best} lidera, com {share} da receita."
    ),
    ages=ExhibitTexts(
        "Clientes por idade",
        "Idade",
        "A maior faixa é a de {best} anos: {count} clientes, {share} do total.",
        "Idade no dia da compra mais recente.",
    ),
    store="Loja {name}",
    numbers="Ver números",
    more_rows="… e mais {count} linhas",
    share="Participação",
    quality=QualityTexts(
        title="Qualidade dos dados",
        lead="Cada linha recebida deve estar carregada ou rejeitada, com o motivo registrado: confira.",
        lots="Lotes",
        received="Linhas recebidas",
        loaded="Carregadas",
        rejected="Rejeitadas",
        rate="Taxa de rejeição",
        lot="Lote",
        adds_up="Confere",
        yes="sim",
        no="NÃO",
        conserved="Recebidas = carregadas + rejeitadas em todos os lotes: {lots} de {lots}.",
        violated="A conta não fecha em {count} de {lots} lotes.",
        violator="{lot}: recebidas {received}, carregadas {loaded}, rejeitadas {rejected}",
        covered="Este relatório inclui todas as {purchases} compras carregadas.",
        uncovered="Este relatório inclui {purchases} compras, mas há {loaded} carregadas: atualize-o.",
        freshness="O lote mais recente foi carregado em {moment}.",
        reasons="Motivos de rejeição",
        no_rejects="Nenhuma linha foi rejeitada.",
        reason="Motivo",
        rows="Linhas",
        in_lots="Lotes",
        example="Exemplo",
        by_lot="Ver por lote",
    ),
    written_at="Relatório gerado em {moment}.",
)

EN = Texts(
    code="en",
    language="English",
    formats=ENGLISH,
    title="Sales report",
    period="Purchases from {first} to {last}",
    revenue="Revenue",
    purchases="Purchases",
    ticket="Average ticket",
    customers="Customers",
    customers_note="by first name, last name and date of birth",
    empty="No purchases yet. Run",
    over_time="Month by month",
    what_sells="Products and payment",
    where_and_who="Regions and customers",
    months=ExhibitTexts(
        "Revenue by month, in {unit}",
        "Month",
        "{average} per month on average; the best was {best}, with {most}.",
        "Dotted line: average of the complete months. Pale: incomplete month.",
    ),
    panels=ExhibitTexts(
        "Each category relative to its monthly average",
        "Month",
        "{category} varies most: from {lowest} to {highest} relative to its average.",
        "Complete months only. All panels share one scale.",
    ),
    panel_average="average {average}",
    panel="{category}: average {average} per month, from {lowest} to {highest}",
    categories=ExhibitTexts("Revenue by category", "Category", "{best} accounts for {share} of the revenue."),
    products=ExhibitTexts(
        "Top ten products by revenue",
        "Product",
        "{best} leads with {share} of the revenue; the top {count} account for {together}.",
    ),
    brands=ExhibitTexts(
        "Top ten brands by revenue",
        "Brand",
        "{best} leads with {share} of the revenue; the top {count} account for {together}.",
    ),
    states=ExhibitTexts(
        "Revenue by state, in {unit}",
        "State",
        "{best} leads with {most}; {last} is last with {least}.",
        "Darker means more revenue; the scale starts at the lowest value, not at zero.",
    ),
    stores=ExhibitTexts("Revenue by store", "Store", "{best} leads, {gap} above the last, {last}."),
    payments=ExhibitTexts(
        "Revenue by payment type", "Payment type", "{best} leads with {share} of the revenue."
    ),
    ages=ExhibitTexts(
        "Customers by age",
        "Age",
        "The largest group is aged {best}: {count} customers, {share} of the total.",
        "Age on the day of the newest purchase.",
    ),
    store="Store {name}",
    numbers="Show numbers",
    more_rows="… and {count} more rows",
    share="% of revenue",
    quality=QualityTexts(
        title="Data quality",
        lead="Every row received must be loaded, or rejected with a recorded reason.",
        lots="Batches",
        received="Rows received",
        loaded="Loaded",
        rejected="Rejected",
        rate="Rejection rate",
        lot="Batch",
        adds_up="Balanced",
        yes="yes",
        no="NO",
        conserved="Received = loaded + rejected in every batch: {lots} of {lots}.",
        violated="Received differs from loaded + rejected in {count} of {lots} batches.",
        violator="{lot}: received {received}, loaded {loaded}, rejected {rejected}",
        covered="This report includes all {purchases} loaded purchases.",
        uncovered="This report includes {purchases} purchases, but {loaded} are loaded: update it.",
        freshness="The newest batch was loaded on {moment}.",
        reasons="Rejection reasons",
        no_rejects="No rows were rejected.",
        reason="Reason",
        rows="Rows",
        in_lots="Batches",
        example="Example",
        by_lot="Show by batch",
    ),
    written_at="Report generated on {moment}.",
)

LANGUAGES = (PT, EN)
