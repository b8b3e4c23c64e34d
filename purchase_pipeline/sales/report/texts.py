"""The texts of the report, in Portuguese and English. `{...}` are filled with formatted values."""

from collections.abc import Mapping
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
class FilterTexts:
    """The texts of the controls that the script adds."""

    title: str
    first: str
    last: str
    store: str
    all_stores: str
    reset: str
    shown: str
    nothing: str
    left_out: str
    csv: str
    sort: str


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
    panel_average: str
    categories: ExhibitTexts
    products: ExhibitTexts
    brands: ExhibitTexts
    states: ExhibitTexts
    stores: ExhibitTexts
    payments: ExhibitTexts
    ages: ExhibitTexts
    state_tickets: ExhibitTexts
    store_tickets: ExhibitTexts
    returning: ExhibitTexts
    compared: ExhibitTexts
    weekdays: ExhibitTexts
    seasons: ExhibitTexts
    claims: Mapping[str, str]
    months_claims: Mapping[str, str]
    comparisons: Mapping[str, str]
    rhythm: str
    chance: str
    by_chance: str
    incomplete: str
    a_day: str
    to: str
    days: str
    now: str
    before: str
    change: str
    period_now: str
    period_before: str
    share_of_customers: str
    share_of_purchases: str
    new_customers: str
    filters: FilterTexts
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
        "Cada categoria em relação à própria média, por dia",
        "Mês",
        "{category} vai de {lowest} a {highest} em relação à própria média.",
        "Somente meses completos. A escala é a mesma em todos os gráficos.",
    ),
    panel_average="média de {average} por dia",
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
        "{best} lidera, com {most}, {share} da receita; a menor é de {least}.",
        "Quanto mais forte a cor, maior a receita; a escala começa em zero e cresce com a raiz quadrada.",
    ),
    stores=ExhibitTexts("Receita por loja", "Loja", "A {best} lidera, com {share} da receita."),
    payments=ExhibitTexts(
        "Receita por forma de pagamento", "Forma de pagamento", "{best} lidera, com {share} da receita."
    ),
    ages=ExhibitTexts(
        "Clientes por idade",
        "Idade",
        "A maior faixa é a de {best} anos: {count} clientes, {share} do total.",
        "Idade no dia da compra mais recente. Cada cliente é contado na primeira compra.",
    ),
    state_tickets=ExhibitTexts(
        "Tíquete médio por estado, em reais",
        "Estado",
        "{best} tem o maior tíquete: {most} por compra; o menor é de {least}.",
        "Quanto mais forte a cor, maior o tíquete; a escala começa em zero e cresce com a raiz quadrada.",
    ),
    store_tickets=ExhibitTexts(
        "Tíquete médio por loja",
        "Loja",
        "A {best} tem o maior tíquete: {most} por compra; o menor é de {least}.",
    ),
    returning=ExhibitTexts(
        "Clientes que voltam, em % da receita de cada mês",
        "Compras de quem já comprou",
        "De quem já tinha comprado antes vêm {share} das compras e {together} da receita.",
        "No início do período, por definição, ninguém tinha comprado antes.",
    ),
    compared=ExhibitTexts(
        "Comparações, em receita por dia",
        "Comparação",
        "{what}: {change}.",
        "Só se comparam períodos completos, ou os mesmos dias de dois períodos, sempre por dia: os meses têm durações "
        "diferentes.",
    ),
    weekdays=ExhibitTexts(
        "Receita por dia da semana, em {unit} por dia",
        "Dia da semana",
        "O dia mais forte é {best}, com {most} por dia; o mais fraco tem {least}.",
    ),
    seasons=ExhibitTexts(
        "Receita por mês do ano, em {unit} por dia",
        "Mês",
        "O mês mais forte é {best}, com {most} por dia; o mais fraco tem {least}.",
        "Média de todos os anos, somente meses completos.",
    ),
    claims={
        "tied": "{best} e {second} estão à frente; a diferença entre os dois primeiros cabe no acaso.",
        "even": "As diferenças cabem no acaso: de {least} a {most}.",
        "only": "{best}: {most}.",
        "steady": "Nenhuma categoria varia mais do que o acaso explica.",
    },
    months_claims={
        "tied": "Média de {average} por mês, de {least} a {most}.",
        "even": "Média de {average} por mês; por dia, as diferenças entre os meses cabem no acaso.",
        "only": "{best}: {most}.",
    },
    comparisons={
        "twelve": "12 meses completos contra os 12 anteriores",
        "month": "Mês completo contra o mês anterior",
        "year_ago": "Mês completo contra o mesmo mês do ano anterior",
        "year_to_date": "Ano até agora contra os mesmos dias do ano anterior",
        "so_far": "Mês em andamento contra os mesmos dias do mês anterior",
    },
    rhythm="Semana e estações",
    chance="Uma diferença só é afirmada quando passa de quatro erros padrão, estimados como se cada compra fosse "
    "independente das outras.",
    by_chance="dentro do acaso",
    incomplete="mês incompleto",
    a_day="Receita por dia",
    to=" a ",
    days="Dias",
    now="Por dia",
    before="Antes",
    change="Variação",
    period_now="Período",
    period_before="Contra",
    share_of_customers="% dos clientes",
    share_of_purchases="% das compras",
    new_customers="Clientes novos",
    filters=FilterTexts(
        title="Filtros",
        first="De",
        last="Até",
        store="Loja",
        all_stores="Todas as lojas",
        reset="Limpar filtros",
        shown="{first} a {last}, {store}",
        nothing="Nenhuma compra neste período e nesta loja.",
        left_out="Sem filtros: com tantas lojas, meses e produtos, o arquivo ficaria grande demais.",
        csv="Baixar CSV",
        sort="Ordenar por {header}",
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
        "Each category relative to its average, per day",
        "Month",
        "{category} ranges from {lowest} to {highest} relative to its average.",
        "Complete months only. All panels share one scale.",
    ),
    panel_average="average {average} per day",
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
        "{best} leads with {most}, {share} of the revenue; the lowest is {least}.",
        "A stronger colour means more revenue; the scale starts at zero and grows with the square root.",
    ),
    stores=ExhibitTexts("Revenue by store", "Store", "{best} leads with {share} of the revenue."),
    payments=ExhibitTexts(
        "Revenue by payment type", "Payment type", "{best} leads with {share} of the revenue."
    ),
    ages=ExhibitTexts(
        "Customers by age",
        "Age",
        "The largest group is aged {best}: {count} customers, {share} of the total.",
        "Age on the day of the newest purchase. A customer is counted at the first purchase.",
    ),
    state_tickets=ExhibitTexts(
        "Average ticket by state, in reais",
        "State",
        "{best} has the highest ticket, {most} per purchase; the lowest is {least}.",
        "A stronger colour means a higher ticket; the scale starts at zero and grows with the square root.",
    ),
    store_tickets=ExhibitTexts(
        "Average ticket by store",
        "Store",
        "{best} has the highest ticket, {most} per purchase; the lowest is {least}.",
    ),
    returning=ExhibitTexts(
        "Returning customers, in % of each month's revenue",
        "Repeat purchases",
        "Customers who had bought before made {share} of the purchases and {together} of the revenue.",
        "At the start of the period, by definition, nobody had bought before.",
    ),
    compared=ExhibitTexts(
        "Comparisons, in revenue per day",
        "Comparison",
        "{what}: {change}.",
        "Only complete periods are compared, or the same days of two periods, and always per day: months differ in "
        "length.",
    ),
    weekdays=ExhibitTexts(
        "Revenue by weekday, in {unit} per day",
        "Weekday",
        "The strongest day is {best}, with {most} per day; the weakest has {least}.",
    ),
    seasons=ExhibitTexts(
        "Revenue by month of the year, in {unit} per day",
        "Month",
        "The strongest month is {best}, with {most} per day; the weakest has {least}.",
        "Average of all years, complete months only.",
    ),
    claims={
        "tied": "{best} and {second} are ahead; the difference between the first two is within chance.",
        "even": "The differences are within chance: from {least} to {most}.",
        "only": "{best}: {most}.",
        "steady": "No category varies more than chance explains.",
    },
    months_claims={
        "tied": "{average} per month on average, from {least} to {most}.",
        "even": "{average} per month on average; per day, the differences between months are within chance.",
        "only": "{best}: {most}.",
    },
    comparisons={
        "twelve": "12 complete months against the 12 before",
        "month": "Complete month against the month before",
        "year_ago": "Complete month against the same month a year before",
        "year_to_date": "Year to date against the same days of the year before",
        "so_far": "Month in progress against the same days of the month before",
    },
    rhythm="Weekdays and seasons",
    chance="A difference is stated only beyond four standard errors, estimated as if every purchase were independent "
    "of the others.",
    by_chance="within chance",
    incomplete="incomplete month",
    a_day="Revenue per day",
    to=" to ",
    days="Days",
    now="Per day",
    before="Before",
    change="Change",
    period_now="Period",
    period_before="Against",
    share_of_customers="% of customers",
    share_of_purchases="% of purchases",
    new_customers="New customers",
    filters=FilterTexts(
        title="Filters",
        first="From",
        last="To",
        store="Store",
        all_stores="All stores",
        reset="Clear filters",
        shown="{first} to {last}, {store}",
        nothing="No purchases in this period and store.",
        left_out="No filters: with so many stores, months and products, the file would be too large.",
        csv="Download CSV",
        sort="Sort by {header}",
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
