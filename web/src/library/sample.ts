// A small PDF made on the spot, for somebody who has none at hand: two pages, and a table with lines.
import { t } from "../ui/words";

function escape(text: string): string {
  const folded = text.normalize("NFC").replace(/[“”„]/g, '"').replace(/[’]/g, "'").replace(/[^\x20-\xff]/g, "-");
  return folded.replace(/[\\()]/g, "\\$&");
}

function line(text: string, x: number, y: number, size: number, font = "F1"): string {
  return `BT /${font} ${size} Tf ${x} ${y} Td (${escape(text)}) Tj ET`;
}

function table(rows: string[][], x: number, top: number): string {
  const widths = [150, 90, 90];
  const height = 22;
  const drawn: string[] = ["0.7 w"];
  rows.forEach((row, index) => {
    const y = top - (index + 1) * height;
    row.reduce((left, cell, column) => {
      drawn.push(`${left} ${y} ${widths[column]} ${height} re S`, line(cell, left + 6, y + 7, 11, index ? "F1" : "F2"));
      return left + widths[column]!;
    }, x);
  });
  return drawn.join("\n");
}

export function makeSample(): File {
  const { title, intro, rows, second } = t.sample;
  const pages = [
    [line(title, 72, 740, 22, "F2"), ...intro.map((text, index) => line(text, 72, 700 - index * 17, 12)), table(rows, 72, 590)].join("\n"),
    second.map((text, index) => line(text, 72, 740 - index * 17, index ? 12 : 16, index ? "F1" : "F2")).join("\n"),
  ];
  const objects = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [5 0 R 6 0 R] /Count 2 >>",
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    ...[7, 8].map((content) => `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> /Contents ${content} 0 R >>`),
    ...pages.map((content) => `<< /Length ${content.length} >>\nstream\n${content}\nendstream`),
  ];
  let body = "%PDF-1.4\n";
  const places = objects.map((object, index) => {
    const at = body.length;
    body += `${index + 1} 0 obj\n${object}\nendobj\n`;
    return at;
  });
  const xref = body.length;
  body += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${places.map((at) => `${String(at).padStart(10, "0")} 00000 n \n`).join("")}`;
  body += `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${xref}\n%%EOF\n`;
  return new File([Uint8Array.from(body, (char) => char.charCodeAt(0))], t.sample.filename, { type: "application/pdf" });
}
