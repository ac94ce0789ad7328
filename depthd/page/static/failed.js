// Failed photos back into the inbox.
const said = document.getElementById("said");

for (const button of document.querySelectorAll("button.retry")) {
  button.onclick = async () => {
    button.disabled = true;
    try {
      const answer = await fetch(`retry?name=${button.dataset.name}`, { method: "POST" });
      said.textContent = (await answer.json()).text;
      said.className = answer.ok ? "" : "bad";
      if (answer.ok) button.closest("li").remove();
      else button.disabled = false;
    } catch (error) {
      said.textContent = String(error);
      button.disabled = false;
    }
  };
}
