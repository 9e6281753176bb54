// Shows a page in a frame and writes what look.js finds into the document, for --dump-dom.
const frame = document.querySelector("iframe");
frame.onload = () => {
  const found = { hit: window.hit || 0, ...look(frame.contentWindow, frame.contentDocument, [255, 255, 255, 1]) };
  document.body.textContent = "FOUND" + JSON.stringify(found) + "END";
};
frame.srcdoc = PAGE;
