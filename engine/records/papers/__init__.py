"""The four reaction documents: incident report, discharge summary, allergy update, EMS handover."""
