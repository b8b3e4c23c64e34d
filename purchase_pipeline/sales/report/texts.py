"""The words of the report, in Portuguese and in English. `{...}` are filled with what is already written out."""

from dataclasses import dataclass

from purchase_pipeline.sales.report.formats import ENGLISH, PORTUGUESE, Formats


@dataclass(frozen=True)
class ExhibitTexts:
    """One chart's words: its subject, what a row of it is, what it finds, what to know of how it is drawn."""

    title: str
    header: str
    finding: str
    note: str = ""


@dataclass(frozen=True)
class QualityTexts:
    """The words of the section on the data themselves."""

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
    """All words of the report in one language, with how that language writes numbers."""

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
    customers_note="por nome, sobrenome e nascimento",
    empty="Ainda não há compras: rode",
    over_time="Mês a mês",
    what_sells="O que se vende, e como se paga",
    where_and_who="Onde e a quem",
    months=ExhibitTexts(
        "Receita por mês, em {unit}",
        "Mês",
        "{average} por mês, em média; o melhor foi {best}, com {most}.",
        "Linha pontilhada: média dos meses completos. Em tom claro: mês incompleto no período.",
    ),
    panels=ExhibitTexts(
        "Cada categoria diante da própria média mensal",
        "Mês",
        "{category} é a que mais oscila: de {lowest} a {highest} da sua média.",
        "Só meses completos. A escala é a mesma em todos os quadros.",
    ),
    panel_average="média de {average}",
    panel="{category}: média de {average} por mês, de {lowest} a {highest}",
    categories=ExhibitTexts("Receita por categoria", "Categoria", "{best} traz {share} da receita."),
    products=ExhibitTexts(
        "Os dez produtos de maior receita",
        "Produto",
        "{share} vêm de um só produto, {best}; os {count} primeiros somam {together}.",
    ),
    brands=ExhibitTexts(
        "As dez marcas de maior receita",
        "Marca",
        "{best} lidera, com {share}; as {count} primeiras somam {together}.",
    ),
    states=ExhibitTexts(
        "Receita por estado, em {unit}",
        "Estado",
        "{best} vem primeiro, com {most}; {last} por último, com {least}.",
        "Quanto mais escuro, mais receita; a escala começa no menor valor, e não em zero.",
    ),
    stores=ExhibitTexts(
        "Receita por loja", "Loja", "A {best} vem primeiro, {gap} à frente da última, a {last}."
    ),
    payments=ExhibitTexts(
        "Receita por forma de pagamento", "Pagamento", "{best} é a forma que mais rende: {share} da receita."
    ),
    ages=ExhibitTexts(
        "Clientes por idade",
        "Idade",
        "A faixa de {best} anos é a maior: {count} clientes, {share} do total.",
        "Idade no dia da compra mais recente.",
    ),
    store="Loja {name}",
    numbers="Ver os números",
    more_rows="… e mais {count} linhas",
    share="Parte",
    quality=QualityTexts(
        title="Qualidade dos dados",
        lead="Cada linha recebida há de estar carregada, ou rejeitada com o motivo anotado. Aqui se confere.",
        lots="Lotes",
        received="Linhas recebidas",
        loaded="Carregadas",
        rejected="Rejeitadas",
        rate="Taxa de rejeição",
        lot="Lote",
        adds_up="Confere",
        yes="sim",
        no="NÃO",
        conserved="Recebidas = carregadas + rejeitadas, em todos os lotes: {lots} de {lots}.",
        violated="A conta não fecha em {count} de {lots} lotes.",
        violator="{lot}: recebidas {received}, carregadas {loaded}, rejeitadas {rejected}",
        covered="Este relatório soma todas as {purchases} compras carregadas.",
        uncovered="Este relatório soma {purchases} compras, mas há {loaded} carregadas: atualize-o.",
        freshness="O lote mais recente foi gravado em {moment}.",
        reasons="Por que linhas foram rejeitadas",
        no_rejects="Nenhuma linha foi rejeitada.",
        reason="Motivo",
        rows="Linhas",
        in_lots="Lotes",
        example="Exemplo",
        by_lot="Ver lote a lote",
    ),
    written_at="Relatório escrito em {moment}.",
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
    customers_note="by first name, last name and birth date",
    empty="No purchases yet: run",
    over_time="Month by month",
    what_sells="What sells, and how it is paid",
    where_and_who="Where and to whom",
    months=ExhibitTexts(
        "Revenue by month, in {unit}",
        "Month",
        "{average} a month on average; the best was {best}, with {most}.",
        "Dotted line: average of the complete months. Pale: a month that the period holds only in part.",
    ),
    panels=ExhibitTexts(
        "Each category against its own monthly average",
        "Month",
        "{category} varies most: from {lowest} to {highest} of its average.",
        "Complete months only. All panels share one scale.",
    ),
    panel_average="{average} on average",
    panel="{category}: {average} a month on average, from {lowest} to {highest}",
    categories=ExhibitTexts("Revenue by category", "Category", "{best} brings in {share} of the revenue."),
    products=ExhibitTexts(
        "The ten products with the greatest revenue",
        "Product",
        "{share} comes from one product, {best}; the first {count} make {together}.",
    ),
    brands=ExhibitTexts(
        "The ten brands with the greatest revenue",
        "Brand",
        "{best} leads with {share}; the first {count} make {together}.",
    ),
    states=ExhibitTexts(
        "Revenue by state, in {unit}",
        "State",
        "{best} comes first with {most}; {last} last with {least}.",
        "The darker, the more revenue; the scale begins at the least value, not at zero.",
    ),
    stores=ExhibitTexts("Revenue by store", "Store", "{best} comes first, {gap} ahead of the last, {last}."),
    payments=ExhibitTexts(
        "Revenue by way of paying", "Payment", "{best} carries the most: {share} of the revenue."
    ),
    ages=ExhibitTexts(
        "Customers by age",
        "Age",
        "The largest group is aged {best}: {count} customers, {share} of all.",
        "Age on the day of the newest purchase.",
    ),
    store="Store {name}",
    numbers="See the numbers",
    more_rows="… and {count} more rows",
    share="Share",
    quality=QualityTexts(
        title="Quality of the data",
        lead="Every row received has to be loaded, or rejected with its reason on record. Here that is checked.",
        lots="Lots",
        received="Rows received",
        loaded="Loaded",
        rejected="Rejected",
        rate="Rejection rate",
        lot="Lot",
        adds_up="Adds up",
        yes="yes",
        no="NO",
        conserved="Received = loaded + rejected, in every lot: {lots} of {lots}.",
        violated="The sum does not add up in {count} of {lots} lots.",
        violator="{lot}: received {received}, loaded {loaded}, rejected {rejected}",
        covered="This report sums up all {purchases} purchases loaded.",
        uncovered="This report sums up {purchases} purchases, but {loaded} are loaded: bring it up to date.",
        freshness="The newest lot was committed on {moment}.",
        reasons="Why rows were rejected",
        no_rejects="No row was rejected.",
        reason="Reason",
        rows="Rows",
        in_lots="Lots",
        example="Example",
        by_lot="See lot by lot",
    ),
    written_at="Report written on {moment}.",
)

LANGUAGES = (PT, EN)
