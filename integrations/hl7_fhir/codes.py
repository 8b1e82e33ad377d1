"""The codes this room sends, each checked against a published source (named beside it); what has no code goes as text.

Public code carries many wrong SNOMED codes for contrast: nothing is added here without its source.
"""

from typing import Final

from integrations.hl7_fhir.values import Coded

SNOMED: Final = "http://snomed.info/sct"
LOINC: Final = "http://loinc.org"
RXNORM: Final = "http://www.nlm.nih.gov/research/umls/rxnorm"
UCUM: Final = "http://unitsofmeasure.org"
LOCAL: Final = "https://attend.invalid/codes"

V2_SYSTEMS: Final = {SNOMED: "SCT", LOINC: "LN", RXNORM: "RXNORM", UCUM: "UCUM", LOCAL: "99ATTEND"}
"""How a v2 message names each system; a system that is not here is sent as it is."""


def _sct(code: str, text: str) -> Coded:
    return Coded(code, text, SNOMED)


def _ln(code: str, text: str) -> Coded:
    return Coded(code, text, LOINC)


# DICOM CID 12 (pydicom codedict)
AGENTS: Final = {
    "iohexol": _sct("109218004", "Iohexol"),
    "iopamidol": _sct("109219007", "Iopamidol"),
    "iodixanol": _sct("353962003", "Iodixanol"),
    "ioversol": _sct("109222009", "Ioversol"),
    "iopromide": _sct("353903006", "Iopromide"),
    "gadobutrol": _sct("407976008", "Gadobutrol"),
    "gadoterate": _sct("712714000", "Gadoterate"),
    "gadobenate": _sct("792865009", "Gadobenate"),
    "gadoxetate": _sct("440223009", "Gadoxetate"),
}

# RxNorm by several published tables, SNOMED by DICOM CID 65; atropine has no checked substance code and goes as text.
DRUGS: Final = {
    "epinephrine": Coded("3992", "Epinephrine", RXNORM),
    "albuterol": Coded("435", "Albuterol", RXNORM),
    "diphenhydramine": Coded("3498", "Diphenhydramine", RXNORM),
    "methylprednisolone": _sct("116593003", "Methylprednisolone"),
    "prednisone": _sct("116602009", "Prednisone"),
    "hydrocortisone": _sct("109066000", "Hydrocortisone succinate"),
}

# DICOM CID 11
ROUTES: Final = {
    "IV": _sct("47625008", "Intravenous route"),
    "IM": _sct("78421000", "Intramuscular route"),
    "PO": _sct("26643006", "Oral route"),
    "INH": _sct("446406008", "Respiratory tract route"),
    "SC": _sct("34206005", "Subcutaneous route"),
}

# DICOM CID 60 and the IPS value set
MANIFESTATIONS: Final = {
    "anaphylaxis": _sct("39579001", "Anaphylaxis"),
    "urticaria": _sct("126485001", "Urticaria"),
    "angioedema": _sct("41291007", "Angioedema"),
    "laryngeal_edema": _sct("51599000", "Laryngeal edema"),
    "bronchospasm": _sct("4386001", "Bronchospasm"),
    "dyspnea": _sct("267036007", "Dyspnea"),
    "itching": _sct("418363000", "Itching"),
    "rash": _sct("28926001", "Drug rash"),
    "nausea_vomiting": _sct("16932000", "Nausea and vomiting"),
    "flushing": _sct("403618004", "Flushing"),
    "warmth": _sct("724232004", "Feeling of warmth"),
    "hypotension": _sct("45007003", "Hypotension"),
    "arrhythmia": _sct("698247007", "Cardiac arrhythmia"),
    "cardiac_arrest": _sct("410430005", "Cardiac arrest"),
    "seizure": _sct("84757009", "Seizure"),
    "extravasation": _sct("95384003", "Injection site extravasation"),
}

CONTRAST_REACTION: Final = _sct("292095005", "Contrast media adverse reaction")  # pydicom CID 3413
CONTRAST_MEDIA: Final = _sct("385420005", "Contrast media")  # pydicom
IODINATED_CONTRAST: Final = _sct("426722004", "Iodinated contrast media")  # SNOMED release notes
PROCEDURE_NOTE: Final = _ln("28570-0", "Procedure note")  # US Core
NO_KNOWN_ALLERGY: Final = _sct("716186003", "No known allergy")  # HL7 R4 example AllergyIntolerance/nka

# US Core vital signs; the second value is the UCUM unit
VITALS: Final = {
    "systolic": (_ln("8480-6", "Systolic blood pressure"), "mm[Hg]"),
    "diastolic": (_ln("8462-4", "Diastolic blood pressure"), "mm[Hg]"),
    "heart_rate": (_ln("8867-4", "Heart rate"), "/min"),
    "respiratory_rate": (_ln("9279-1", "Respiratory rate"), "/min"),
    "oxygen_saturation": (_ln("59408-5", "Oxygen saturation by pulse oximetry"), "%"),
    "temperature": (_ln("8310-5", "Body temperature"), "Cel"),
}
BLOOD_PRESSURE: Final = _ln("85354-9", "Blood pressure panel")  # US Core
OXYGEN_SATURATION: Final = _ln("2708-6", "Oxygen saturation in arterial blood")  # US Core asks for both codes


def local(code: str, text: str) -> Coded:
    """Return a code of our own, for what no published system names."""
    return Coded(code, text, LOCAL)
