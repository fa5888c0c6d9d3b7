"""A made-up team's library and chat, and what its people ask: the answers they expect are known."""

# Documents, page by page
LIBRARY: dict[str, list[str]] = {
    "Lease agreement Harbour Street 12.pdf": [
        "Lease agreement between Northwind Estates Ltd, the landlord, and Tidewater Design, the tenant, for the "
        "offices on "
        "the third floor of Harbour Street 12. The lease begins on 1 March 2026 and runs for five years.",
        "The monthly rent is 4,850.00 and is due on the first working day of each month. Service charges for heating, "
        "lift and cleaning come to 620.00 a month and are settled once a year.",
        "Either party may give notice with six months to the end of a quarter. The deposit of three months' rent is "
        "returned within thirty days after the keys have been handed over. Subletting needs written consent.",
    ],
    "Invoice 2026-0417 Paper Mill.pdf": [
        "Invoice 2026-0417. Paper Mill & Sons, to Tidewater Design. 40 reams of recycled paper A4, 12 reams A3. "
        "Order AB-12/7. Total due 1,250.00, payable within 14 days to IBAN GB29 NWBK 6016 1331 9268 19.",
    ],
    "Invoice 2026-0502 Cloud hosting.pdf": [
        "Invoice 2026-0502. Stratus Hosting, to Tidewater Design. Two virtual servers, backup storage of 500 GB, and "
        "one "
        "support incident in April. Total due 389,40. Questions to billing@stratus.example.com.",
    ],
    "Employee handbook.pdf": [
        "Welcome to Tidewater Design. This handbook says how we work. It was last changed in January and is kept by "
        "the "
        "office manager, Ingrid Sørensen.",
        "Working hours. The week has 38 hours. Core time is from ten to three. Overtime is made up for by free time "
        "within "
        "the same quarter, not paid.",
        "Holidays. Everybody has 28 days of annual leave. Ask for leave in the calendar at least two weeks before. "
        "Up to "
        "five days may be carried over to March of the next year.",
        "Sick leave. Tell your team before ten o'clock on the first day. From the third day on a doctor's "
        "certificate is "
        "needed.",
        "Travel expenses. Trains are second class, hotels up to 130 a night. Send receipts to accounting within a "
        "month. "
        "A mileage allowance of 0.30 is paid for one's own car.",
        "Parental leave and part time. Talk to Ingrid three months before. The job is kept for three years.",
    ],
    "Fire safety plan.pdf": [
        "Fire safety plan for the third floor. Extinguishers hang beside both staircases and in the kitchen. The "
        "assembly "
        "point is the car park behind the building.",
        "In case of fire: raise the alarm, close windows and doors, leave by the nearest staircase, never by the lift. "
        "Fire wardens this year are Bogdan and Yuki.",
    ],
    "Website relaunch proposal.pdf": [
        "Proposal for the relaunch of the museum's website. The museum wants a site that loads quickly, works on "
        "phones, "
        "and can be kept up by its own staff without a developer.",
        "Schedule. Workshops in May, wireframes in June, visual design in July, development until October, launch on "
        "15 "
        "November. The content migration is done by the museum.",
        "Budget. Design 24,000, development 41,500, training 3,200. Photography is not included. Payments in three "
        "parts.",
        "Accessibility. All pages meet WCAG 2.2 level AA. A screen reader test with two users is part of the "
        "acceptance.",
    ],
    "Meeting minutes 2026-05-12.pdf": [
        "Minutes of the team meeting of 12 May 2026. Present: Ingrid, Bogdan, Yuki, Amélie. The printer on the third "
        "floor "
        "will be replaced. Amélie presents the wireframes of the museum. The summer party is on 3 July by the lake.",
        "Decisions: we move the backups to another provider after the outage of 4 May. Yuki compares three offers "
        "until "
        "June. The coffee machine is leased for another year.",
    ],
    "Printer manual LX-450.pdf": [
        "LX-450 user manual. Before you begin: remove the orange tape and the transport lock, then connect the power "
        "cable.",
        "Replacing the toner cartridge. Open the front door, pull the cartridge out by its handle, shake the new one "
        "gently, and push it in until it clicks.",
        "Paper jams. Error E-13 means a jam at the rear tray, error E-21 one in the duplex unit. Never pull with "
        "force.",
        "Technical data. 45 pages a minute, 1200 dpi, 27.5 kg, noise 54 dB(A). Works with paper of 60 to 220 g/m².",
    ],
    "Insurance policy.pdf": [
        "Business contents insurance, policy 88-204-551. Insured are the furniture, computers and drawings of "
        "Tidewater "
        "Design against fire, burglary, storm and burst pipes up to 180,000.",
        "Claims are reported within one week to claims@seawall.example.com. The excess is 500 for each case. "
        "Bicycles in "
        "the yard are not covered.",
    ],
    "東京出張報告書.pdf": [
        "東京出張報告書。五月二十日から二十四日まで、有希が東京の印刷会社を訪問しました。紙の見本と見積書を受け取りました。",
        "次の会議は大阪で九月に行われます。予算は三十万円です。",
    ],
    "Betriebskostenabrechnung 2025.pdf": [
        "Betriebskostenabrechnung für das Jahr 2025. Heizkosten 3.418,20 EUR, Aufzug 960,00 EUR, Gebäudereinigung "
        "2.210,55 "
        "EUR. Die Nachzahlung von 241,17 EUR ist bis zum 30. Juni zu überweisen.",
    ],
}

# Messages: who writes, and what
CHAT: list[tuple[str, str]] = [
    ("alice", "Morning! Did you see that the printer is jammed again?"),
    ("bob", "It says E-21. I opened everything and there is no paper in there"),
    ("alice", "The manual calls that the duplex unit, at the back underneath"),
    ("bob", "Found it, a label was stuck on the roller. Thanks!"),
    ("bob", "When do we have to pay the landlord, first or fifteenth?"),
    ("alice", "First working day, it is in the contract on page two"),
    ("bob", "The paper people sent a reminder, have we paid AB-12/7?"),
    ("alice", "Paid yesterday, the bank confirmation is in the folder"),
    ("bob", "Who is coming to the lake on 3 July? I bring the grill"),
    ("alice", "Me and the kids. Yuki makes onigiri, Amélie brings the pétanque set"),
    ("bob", "The museum called, they would like the launch a week earlier"),
    ("alice", "Not possible, the screen reader test is in the first week of November"),
    ("bob", "Ok, I tell Ms Kowalczyk that the fifteenth stays"),
    ("alice", "My bicycle was stolen from the yard last night :("),
    ("bob", "Oh no! Is that insured?"),
    ("alice", "The policy says no. I have called the police"),
    ("bob", "Wifi password for guests is now kelp-forest-42"),
    ("alice", "会議は午後三時に変更されました"),
    ("bob", "Can you approve my holiday from 10 to 21 August?"),
    ("alice", "Approved, enjoy Lisbon!"),
    ("bob", "The outage was a full disk, the backups had filled it"),
    ("alice", "Stratus offers 2 TB for 79 a month, the other two are dearer"),
    ("bob", "Let us take it. I order https://stratus.example.com/plans/l today"),
    ("alice", "The new intern starts on Monday, her name is Zoë Brandt"),
    ("bob", "I have reserved a desk by the window for her"),
]

# What is asked, and the answer: a document and its page, or the number of a message
QUESTIONS: list[tuple[str, tuple[str, int] | int]] = [
    ("monthly rent", ("Lease agreement Harbour Street 12.pdf", 2)),
    ("service charges heating", ("Lease agreement Harbour Street 12.pdf", 2)),
    ("notice six months", ("Lease agreement Harbour Street 12.pdf", 3)),
    ("deposit keys", ("Lease agreement Harbour Street 12.pdf", 3)),
    ("northwind estates", ("Lease agreement Harbour Street 12.pdf", 1)),
    ("subletting", ("Lease agreement Harbour Street 12.pdf", 3)),
    ("invoice paper", ("Invoice 2026-0417 Paper Mill.pdf", 1)),
    ("2026-0417", ("Invoice 2026-0417 Paper Mill.pdf", 1)),
    ("1,250.00", ("Invoice 2026-0417 Paper Mill.pdf", 1)),
    ("iban", ("Invoice 2026-0417 Paper Mill.pdf", 1)),
    ("billing@stratus.example.com", ("Invoice 2026-0502 Cloud hosting.pdf", 1)),
    ("invoice hosting", ("Invoice 2026-0502 Cloud hosting.pdf", 1)),
    ("389,40", ("Invoice 2026-0502 Cloud hosting.pdf", 1)),
    ("annual leave", ("Employee handbook.pdf", 3)),
    ("sick leave", ("Employee handbook.pdf", 4)),
    ("overtime", ("Employee handbook.pdf", 2)),
    ("hotel night", ("Employee handbook.pdf", 5)),
    ("mileage allow", ("Employee handbook.pdf", 5)),
    ("sorensen", ("Employee handbook.pdf", 1)),
    ("assembly point", ("Fire safety plan.pdf", 1)),
    ("fire wardens", ("Fire safety plan.pdf", 2)),
    ("wireframes june", ("Website relaunch proposal.pdf", 2)),
    ("budget development", ("Website relaunch proposal.pdf", 3)),
    ("wcag", ("Website relaunch proposal.pdf", 4)),
    ("toner", ("Printer manual LX-450.pdf", 2)),
    ('"error E-13"', ("Printer manual LX-450.pdf", 3)),
    ("1200 dpi", ("Printer manual LX-450.pdf", 4)),
    ("burst pipes", ("Insurance policy.pdf", 1)),
    ("coffee machine", ("Meeting minutes 2026-05-12.pdf", 2)),
    ("東京 見積書", ("東京出張報告書.pdf", 1)),
    ("大阪", ("東京出張報告書.pdf", 2)),
    ("nachzahlung", ("Betriebskostenabrechnung 2025.pdf", 1)),
    ("gebaudereinigung", ("Betriebskostenabrechnung 2025.pdf", 1)),
    ("wifi password", 16),
    ("bicycle stolen", 13),
    ("kowalczyk", 12),
    ("petanque", 9),
    ("brandt", 23),
    ("holiday august", 18),
    ("午後三時", 17),
    ("full disk", 20),
]
