// Lists the routes of the OpenAPI document beside this page.
const element = (name, text) => Object.assign(document.createElement(name), { textContent: text });

fetch("openapi.json").then((answer) => answer.json()).then((api) => {
  const main = document.getElementById("routes");
  main.replaceChildren();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const details = element("details", "");
      details.append(element("summary", `${method.toUpperCase()} ${path}: ${operation.summary ?? ""}`));
      details.append(element("p", operation.description ?? ""));
      details.append(element("pre", JSON.stringify(operation, null, 2)));
      main.append(details);
    }
  }
});
