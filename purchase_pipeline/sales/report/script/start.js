// Starts the page: in the language of the browser, unless the report was written for one.

const asked = document.documentElement.dataset.language ?? (navigator.language.startsWith("pt") ? "pt-BR" : "en");
const read = (language) => {
  document.documentElement.lang = language;
};
for (const radio of document.querySelectorAll("[name=language]")) {
  const language = radio.id.replace("read-", "");
  radio.checked = language === asked;
  radio.addEventListener("change", () => read(language));
}
read(asked);
useTables();
useTooltips();
if (data.cuts) useFilters();
