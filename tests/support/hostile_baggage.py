"""Hostile PDFs by name: locks, scripts, forms, outlines and other things that a file carries."""

from support.hostile_building import FLATE, ZEROS, Makers, flate_bomb, locked
from support.pdfs import HELLO, PAGES, make_encrypted_pdf, stream, write_page, write_pdf

BAGGAGE: Makers = {
    "a password": lambda: make_encrypted_pdf("secret", user_password="open sesame"),
    "an empty password": lambda: make_encrypted_pdf("no secret"),
    "an unknown lock": lambda: write_page(HELLO, trailer=b"/Encrypt <</Filter /Nobody /V 99 /R 99>> /ID [<00> <00>]"),
    "a lock within a lock": lambda: write_page(
        HELLO, b"<</Filter /Standard /V 5 0 R /R 5 0 R /O 5 0 R /U 5 0 R /P 5 0 R>>", trailer=b"/Encrypt 5 0 R"
    ),
    "scripts": lambda: write_page(
        HELLO,
        page=b"/AA <</O <</S /JavaScript /JS (while(1);)>>>> /Annots [<</Subtype /Widget /A <</S /Launch /F (sh)>>>>]",
    ),
    "attachments": lambda: write_pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R /Names <</EmbeddedFiles <</Names [(a) 4 0 R] /Kids [1 0 R]>>>>>>",
            PAGES,
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 9 9]>>",
            b"<</Type /Filespec /F (../../etc/passwd) /EF <</F 5 0 R>>>>",
            stream(flate_bomb(ZEROS, 1000), FLATE),
        ]
    ),
    "notes in a circle": lambda: write_page(
        HELLO,
        b"<</Subtype /Popup /Parent 5 0 R /Popup 5 0 R /Rect [0 0 1e38 1] /AP <</N 5 0 R>>>>",
        page=b"/Annots [5 0 R 5 0 R]",
    ),
    "an xfa form": lambda: write_pdf(
        [b"<</Type /Catalog /Pages 2 0 R /AcroForm <</XFA [(a) 4 0 R] /Fields [1 0 R]>>>>", PAGES, PAGES, b"7"]
    ),
    "a lock of all sorts": lambda: locked(b"/V (x) /R [] /Length -8 /O 7 /U null /P (all) /CF 9 /StmF [] /StrF <<>>"),
    "a lock without strings": lambda: locked(b"/V 5 /R 6 /Length 256 /P -1"),
    "a lock of a huge key": lambda: locked(
        b"/V 2 /R 3 /Length 2147483640 /O (%s) /U (%s) /P -1" % (b"o" * 32, b"u" * 32)
    ),
    "a lock in a circle": lambda: locked(
        b"/V 4 /R 4 /O <> /U <> /P 0 /CF <</StdCF 1 0 R>> /StmF /StdCF /StrF /StdCF /Identity 1 0 R"
    ),
    "a lock that is no lock": lambda: write_page(HELLO, trailer=b"/Encrypt 99 0 R /ID 7"),
    "outlines in a circle": lambda: write_pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R /Outlines 4 0 R /Dests 4 0 R /PageLabels 4 0 R /StructTreeRoot 4 0 R"
            b" /Threads [4 0 R]>>",
            PAGES,
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /B [4 0 R] /StructParents 0>>",
            b"<</First 4 0 R /Last 4 0 R /Next 4 0 R /Prev 4 0 R /Parent 4 0 R /Count 2147483647 /Dest [4 0 R /XYZ]"
            b" /N 4 0 R /Kids [4 0 R] /K [4 0 R] /ParentTree 4 0 R /Nums [0 4 0 R]>>",
        ]
    ),
    "fields in a circle": lambda: write_pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R /AcroForm <</NeedAppearances true /Fields [4 0 R] /DA (/F1 1e38 Tf)"
            b" /CO [4 0 R]>>>>",
            PAGES,
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Annots [4 0 R]>>",
            b"<</Subtype /Widget /FT /Tx /Kids [4 0 R] /Parent 4 0 R /Rect [0 0 1e30 1e30] /V 4 0 R /T (\\000)"
            b" /AP <</N 4 0 R>>>>",
        ]
    ),
    "everything that starts by itself": lambda: write_pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R /OpenAction <</S /JavaScript /JS (for(;;\\)app.alert\\(1\\)) /Next 4 0 R>>"
            b" /AA <</WC 4 0 R>> /Names <</JavaScript <</Names [(a) 4 0 R]>>>>>>",
            PAGES,
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /AA <</O 4 0 R /C 4 0 R>>"
            b" /Annots [<</Subtype /Link /Rect [0 0 9 9] /A 4 0 R>> <</Subtype /RichMedia>> <</Subtype /3D>>]>>",
            b"<</S /Launch /Win <</F (cmd.exe) /P (/c calc)>> /F (/bin/sh) /Next [4 0 R <</S /URI /URI (file:///etc/passwd)>>"
            b" <</S /GoToR /F (\\\\\\\\host\\\\share)>> <</S /SubmitForm /F (http://127.0.0.1:1/)>>]>>",
        ]
    ),
    "contents in another file": lambda: write_page(
        HELLO, content_dictionary=b"/F (/etc/passwd) /FFilter /FlateDecode"
    ).replace(b"/Length 36", b"/Length 0"),
    "a form from another file": lambda: write_page(
        b"/X Do " + HELLO,
        stream(b"", b"/Subtype /Form /BBox [0 0 9 9] /Ref <</F (/etc/passwd) /Page 0>> /OPI <</2.0 5 0 R>>"),
        resources=b"/XObject <</X 5 0 R>>",
    ),
}
