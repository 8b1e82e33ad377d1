"""The roles people sign in with. A person may hold several; a token carries one."""

TECHNOLOGIST = "technologist"
RESPONDER = "responder"
PHYSICIAN = "physician"
COVERAGE_MANAGER = "coverage_manager"
MEDICAL_DIRECTOR = "medical_director"
COMPLIANCE_OFFICER = "compliance_officer"
AUDITOR = "auditor"
INTEGRATOR = "integrator"
OPERATOR = "operator"

ROLES = frozenset(
    {
        TECHNOLOGIST,
        RESPONDER,
        PHYSICIAN,
        COVERAGE_MANAGER,
        MEDICAL_DIRECTOR,
        COMPLIANCE_OFFICER,
        AUDITOR,
        INTEGRATOR,
        OPERATOR,
    }
)
