// Printing: a picture alone on its sheet; what else a printed screen leaves out is in ui.css.

export async function printPicture(src: string): Promise<void> {
  const image = new Image();
  image.src = src;
  image.className = "printed";
  await image.decode();
  document.body.append(image);
  window.addEventListener("afterprint", () => image.remove(), { once: true });
  window.print();
}
