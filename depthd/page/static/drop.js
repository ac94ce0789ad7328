// Photos by dragging, choosing, pasting or a camera; a bar for each, then its result.
const zone = document.getElementById("zone");
const folder = document.getElementById("folder");
const sent = document.getElementById("sent");
const AT_ONCE = 2;
const LOOK_EVERY = 1000; // ms
const BUSY = 503;
const queue = [];
const arriving = new Set();
let active = 0;

function add(files) {
  for (const file of files) queue.push(show(file));
  next();
}

function show(file) {
  const item = document.createElement("li");
  const picture = document.createElement("img");
  picture.alt = "";
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = file.name;
  const bar = document.createElement("progress");
  bar.max = 100;
  bar.value = 0;
  bar.setAttribute("aria-label", file.name);
  const state = document.createElement("span");
  state.className = "hint";
  state.textContent = sent.dataset.waiting;
  item.append(picture, name, bar, state);
  sent.prepend(item);
  return { file, folder: folder.value.trim(), item, picture, name, bar, state };
}

function next() {
  while (active < AT_ONCE && queue.length) send(queue.shift());
}

function send(one) {
  // Known at once, and not only when it has been sent.
  if (!one.file.size) return refuse(one, zone.dataset.empty);
  if (one.file.size > Number(zone.dataset.most)) return refuse(one, zone.dataset.large);
  active += 1;
  const request = new XMLHttpRequest();
  const query = new URLSearchParams({ folder: one.folder, name: one.file.name || "pasted.png" });
  request.open("POST", `upload?${query}`);
  request.responseType = "json";
  request.upload.onprogress = (event) => {
    const percent = event.total ? Math.floor((100 * event.loaded) / event.total) : 0;
    one.bar.value = percent;
    one.state.textContent = sent.dataset.sending.replace("{percent}", percent);
  };
  request.onload = () => {
    if (request.status === 200) {
      one.bar.value = 100;
      one.state.textContent = sent.dataset.sent;
      one.answer = request.response;
      arriving.add(one);
    } else if (request.status === BUSY && request.response?.key === "upload_busy") {
      setTimeout(() => { queue.push(one); next(); }, LOOK_EVERY);
    } else {
      refuse(one, request.response?.text || sent.dataset.lost);
    }
  };
  request.onerror = () => refuse(one, sent.dataset.lost);
  request.onloadend = () => { active -= 1; next(); };
  request.send(one.file);
}

function refuse(one, text) {
  one.bar.hidden = true;
  one.state.className = "bad";
  one.state.textContent = `${text} `;
  const again = document.createElement("button");
  again.type = "button";
  again.className = "quiet";
  again.textContent = sent.dataset.again;
  again.onclick = () => {
    one.item.remove();
    add([one.file]);
  };
  one.state.append(again);
}

async function look() {
  for (const one of [...arriving]) {
    try {
      const { key, sha256, since } = one.answer;
      const answer = await fetch(`arrival?name=${key}&sha256=${sha256}&since=${since}`);
      if (answer.ok) arrive(one, await answer.json());
    } catch {
      break; // asked again soon
    }
  }
  setTimeout(look, LOOK_EVERY);
}

function arrive(one, news) {
  if (news.state === "waiting") return;
  arriving.delete(one);
  one.bar.hidden = true;
  const link = document.createElement("a");
  link.href = news.state === "done" ? `photo?name=${news.key}` : `failed#${news.key}`;
  link.textContent = one.name.textContent;
  one.name.replaceChildren(link);
  one.state.textContent = sent.dataset[news.state];
  one.item.dataset.state = news.state;
  if (news.state === "done") {
    one.picture.src = `thumbnail?name=${news.key}`;
    one.picture.alt = sent.dataset.alt.replace("{name}", one.file.name);
  } else {
    one.state.className = "bad";
  }
}

if (zone) {
  for (const id of ["files", "shot"]) {
    const input = document.getElementById(id);
    input.onchange = () => {
      add(input.files);
      input.value = "";
    };
  }
  zone.ondragover = (event) => {
    event.preventDefault();
    zone.classList.add("over");
  };
  zone.ondragleave = () => zone.classList.remove("over");
  zone.ondrop = (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    add(event.dataTransfer.files);
  };
  document.onpaste = (event) => {
    const files = [...event.clipboardData.files];
    if (!files.length) return;
    event.preventDefault();
    const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
    add(files.map((file) => {
      const end = (file.type.split("/")[1] || "png").replace("jpeg", "jpg");
      return file.name && file.name !== "image.png" ? file : new File([file], `pasted-${stamp}.${end}`, { type: file.type });
    }));
  };
  look();
}
