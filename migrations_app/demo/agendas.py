"""What the demo's meetings are about: subjects and agendas in the organizer's language.

``{name}`` is a participant's given name, ``{project}`` a project and ``{company}`` another company.
Paragraphs of an agenda are separated by a line break; an empty line is an empty paragraph.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """A subject with its agenda."""

    subject: str
    agenda: str


PROJECTS = (
    "Aurora",
    "Bluebird",
    "Cinnamon",
    "Driftwood",
    "Evergreen",
    "Fjord",
    "Granite",
    "Halcyon",
    "Ypsilon",
    "Čapek",
)
COMPANIES = ("Fabrikam", "Fabrikam Logistics", "Example Foundation", "Fabrikam Østfold AS", "Example & Sons")

_ENGLISH = (
    Topic(
        "Quarterly business review: {project}",
        "Hi all,\n\nplease read the pack on the team site before we meet.\n\n"
        "1. Figures against plan (20 min)\n2. Pipeline; renewals, churn\n3. Decisions wanted from this "
        "group\n\n"
        "Bring your own coffee.",
    ),
    Topic("1:1 {name}", "The usual: what went well, what is in the way, what you want from me."),
    Topic(
        "Interview: senior engineer, second round",
        "Panel, the CV is attached to the requisition.\n\n{name} takes system design, I take the rest. "
        "Please write your "
        "notes before we compare them.",
    ),
    Topic(
        "Supplier call with {company}",
        "Agenda\n- late deliveries in the last two months, root cause\n- price list from January, clause "
        "7.2\n"
        "- who signs off on packaging; by when",
    ),
    Topic(
        "All hands 🎉",
        "Everybody welcome, questions beforehand please.\n\n🚀 {project} is live\n📈 Where we stand\n"
        "🙋🏽‍♀️ Your questions\n\nRecording afterwards for those who cannot make it.",
    ),
    Topic(
        "Training: first aid at the workplace",
        "Wear something comfortable. Remote participants follow part one (theory) only.\n\nPart one: 60 "
        "min\nPart two: 90 min",
    ),
    Topic(
        "Budget {project}: first pass",
        "Draft sheet: https://files.contoso.com/finance/budget?view=draft&year=next\n\n"
        "Travel is capped at $12,000; tell me now if that won't work.",
    ),
    Topic(
        "Retrospective, sprint review & planning",
        "Start / stop / continue. Board: https://boards.contoso.com/{project}/retro\n\nNo laptops closed, no blame.",
    ),
    Topic(
        "Go/no-go {project}",
        'Open items must be "green" by noon.\n\nPath to the runbook: '
        "\\\\files\\ops\\{project}\\runbook.docx\n\n"
        "Go means: cut-over on Saturday, all on call.",
    ),
    Topic("Coffee ☕ with {name}", "No agenda. Really."),
    Topic(
        "Customer visit {company} (الرياض team joins)",
        "Visitors arrive at the gate; badges are at reception.\n\nOur colleagues greet them: مرحبا بكم في "
        "كونتوسو\n\n"
        "Then the tour, then contracts.",
    ),
    Topic(
        "Incident review: payroll export",
        "Timeline first, causes second, actions last; 5 whys at most.\n\nThanks,\n{name}",
    ),
)

_SPANISH = (
    Topic(
        "Revisión trimestral: {project}",
        "Hola a todos:\n\nOs adjunto el orden del día.\n\n1. Cifras del trimestre\n2. Previsión para el "
        "año que viene\n"
        "3. Ruegos y preguntas\n\n¡Sed puntuales, por favor!",
    ),
    Topic(
        "Reunión individual con {name}",
        "Repaso de objetivos, formación y vacaciones. ¿Algo más? Añádelo aquí.",
    ),
    Topic(
        "Entrevista: responsable de logística",
        "El currículum está en la carpeta de selección.\n\nPrimero {name} pregunta por la experiencia; "
        "después, el caso práctico.",
    ),
    Topic("Llamada con el proveedor {company}", "Retrasos, precios y penalizaciones (cláusula 4.ª)."),
    Topic(
        "¡Bienvenida, nueva compañía! 🥳",
        "Presentación del equipo de Logroño y café.\n\nNos vemos en la cocina.",
    ),
    Topic("Formación: protección de datos", "Obligatoria para todo el personal. Duración: una hora y media."),
    Topic("Presupuesto {project}: versión inicial", "Año próximo: gastos de viaje, señalización y diseño."),
)

_ITALIAN = (
    Topic(
        "Revisione trimestrale: {project}",
        "Buongiorno a tutti,\n\necco l'ordine del giorno:\n\n1. Risultati e novità\n2. Qualità e reclami\n"
        "3. Attività del prossimo trimestre\n\nA presto",
    ),
    Topic("Colloquio con {name}", "Com'è andata, cosa c'è da migliorare, cosa ti serve da me."),
    Topic("Chiamata fornitore {company}", "Consegne in ritardo; prezzi dal 1º gennaio; qualità del lotto 7."),
    Topic("Retrospettiva {project} 🍕", "Cosa è andato bene, cosa no. La pizza la porta chi è in ritardo 😉"),
    Topic("Formazione sulla sicurezza", "Obbligatoria. Chi è già abilitato può saltare la prima metà."),
    Topic(
        "Budget: prima bozza",
        "Città, viaggi, attività promozionali.\n\nPortate le cifre aggiornate, perché poi si decide.",
    ),
)

_GERMAN = (
    Topic(
        "Quartalsrückblick {project}",
        "Liebe Kolleginnen und Kollegen,\n\nbitte lest die Unterlagen vorher.\n\n1. Umsätze und Erträge\n"
        "2. Größere Risiken\n3. Nächste Maßnahmen\n\nViele Grüße",
    ),
    Topic("Mitarbeitergespräch {name}", "Wie läuft es, was fehlt, was wünschst du dir?"),
    Topic(
        "Vorstellungsgespräch: Prüfingenieur/in",
        "Die Bewerbungsunterlagen liegen im Ordner „Bewerbungen“; {name} führt.",
    ),
    Topic(
        "Lieferantengespräch {company}",
        "Verspätungen, Preiserhöhung ab Januar, Gewährleistung nach § 437 BGB.",
    ),
    Topic(
        "Führungskräfteschulung Übergabe",
        "Treffpunkt Foyer, danach Gruppenübung. Für Getränke ist gesorgt 🥨.",
    ),
    Topic("Budget {project}: Überblick", "Vorläufige Zahlen, bitte nicht weiterleiten."),
)

_FRENCH = (
    Topic(
        "Revue trimestrielle : {project}",
        "Bonjour à toutes et à tous,\n\nvoici l'ordre du jour :\n\n1. Résultats et écarts\n2. Prévisions "
        "révisées\n"
        "3. Décisions à prendre\n\nÀ bientôt",
    ),
    Topic("Tête-à-tête avec {name}", "Ce qui va, ce qui coince, ce que tu attends de moi."),
    Topic(
        "Appel fournisseur {company}",
        "Délais, qualité, nouvelle grille tarifaire ; où en est le cœur du problème ?",
    ),
    Topic(
        "Formation : accueil des nouveaux arrivés",
        "Présentation, visite, déjeuner. N'oubliez pas vos badges !",
    ),
    Topic("Pot de départ de {name} 🥂", "À la cafétéria, dès la fin de la réunion."),
)

_ARABIC = (
    Topic(
        "مراجعة الربع السنوي: {project}",
        "السلام عليكم،\n\nجدول الأعمال:\n\n1. النتائج مقارنة بالخطة\n2. الميزانية\n3. القرارات المطلوبة\n\nمع التحية",
    ),
    Topic("اجتماع فردي مع {name}", "ما الذي سار على ما يرام وما الذي يحتاج إلى دعم؟"),
    Topic("مكالمة مع المورد {company}", "التأخير في التسليم، الأسعار الجديدة، بنود العقد (البند 4)."),
    Topic("تدريب: السلامة في مكان العمل 🦺", "الحضور إلزامي لجميع الموظفين."),
)

_HEBREW = (
    Topic(
        "סקירה רבעונית: {project}",
        "שלום לכולם,\n\nסדר היום:\n\n1. תוצאות מול תוכנית\n2. תקציב\n3. החלטות\n\nבברכה",
    ),
    Topic("פגישה אישית עם {name}", "מה הלך טוב, מה מפריע ומה צריך ממני."),
    Topic("שיחה עם הספק {company}", "איחורים, מחירון חדש, סעיף 4 בחוזה."),
    Topic("הדרכה: אבטחת מידע 🔐", "חובה לכל העובדים."),
)

_BY_LANGUAGE = {
    "en": _ENGLISH,
    "es": _SPANISH,
    "it": _ITALIAN,
    "de": _GERMAN,
    "fr": _FRENCH,
    "ar": _ARABIC,
    "he": _HEBREW,
}


def topics(language: str) -> tuple[Topic, ...]:
    """The topics in a language such as "es-ES"; English where there are none."""
    return _BY_LANGUAGE.get(language.partition("-")[0], _ENGLISH)
