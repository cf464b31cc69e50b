// Settings from a PNG that was dropped on the page or chosen.

const at = (id) => document.getElementById(id);

/// `onFile` gets a file that was chosen to be restored, `onDrop` one that was dropped.
export function acceptPictures(onFile, onDrop) {
  at("restore").addEventListener("click", () => at("restore-file").click());
  at("restore-file").addEventListener("change", () => {
    const [file] = at("restore-file").files;
    // The same file can be chosen again.
    at("restore-file").value = "";
    if (file) onFile(file);
  });

  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    at("drop-target").hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    // Leaving an element for another is not leaving the window.
    if (event.relatedTarget === null) at("drop-target").hidden = true;
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    at("drop-target").hidden = true;
    const [file] = event.dataTransfer.files;
    if (file) onDrop(file);
  });
}
