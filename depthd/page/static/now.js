// The first page follows the daemon: each event holds all that is shown.
const offline = document.getElementById("offline");

function fill(news) {
  for (const place of document.querySelectorAll("[data-field]")) {
    const text = news.fields[place.dataset.field] ?? "–";
    if (place.textContent !== text) place.textContent = text;
  }
  document.getElementById("state").dataset.level = news.fields.level;
  list("failures", news.failures, (item, failure) => {
    const link = document.createElement("a");
    link.href = `failed#${failure.key}`;
    link.textContent = failure.name;
    const text = document.createElement("span");
    text.textContent = failure.text;
    const time = document.createElement("time");
    [time.textContent, time.dateTime] = failure.at;
    item.append(link, " ", text, " ", time);
  });
  list("newest", news.newest, (item, result) => {
    const link = document.createElement("a");
    link.className = "card";
    link.href = `photo?name=${result.key}`;
    const picture = document.createElement("img");
    picture.src = `thumbnail?name=${result.key}`;
    picture.alt = document.getElementById("newest").dataset.alt.replace("{name}", result.name);
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = result.name;
    link.append(picture, name);
    item.append(link);
  });
}

// Made anew only when it is another, so that nobody loses the focus for nothing.
const last = {};
function list(id, entries, make) {
  const text = JSON.stringify(entries);
  document.getElementById(`no-${id}`).hidden = entries.length > 0;
  if (last[id] === text) return;
  if (last[id] !== undefined || entries.length !== document.getElementById(id).children.length) {
    document.getElementById(id).replaceChildren(
      ...entries.map((entry) => {
        const item = document.createElement("li");
        make(item, entry);
        return item;
      }),
    );
  }
  last[id] = text;
}

const events = new EventSource("events");
events.onmessage = (event) => {
  offline.hidden = true;
  fill(JSON.parse(event.data));
};
events.onerror = () => {
  offline.hidden = false;
};
