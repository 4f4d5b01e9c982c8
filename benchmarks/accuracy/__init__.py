"""Does training on what coremax keeps beat the alternatives? Selection methods by the accuracy of what they train."""
