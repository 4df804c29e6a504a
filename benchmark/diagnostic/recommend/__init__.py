"""Which method to train on a target: predicted from cheap measures by a rule that was fitted.

`text` (tier 0) and `gradients` (tier 1) measure, `outcomes` reads what finished studies gained,
`regression` fits one to the other, `advice` turns a rule and measures into a recommendation, and
`scoring` says how good it was on sources that were held out. It may import the rest of the
diagnostic, which does not import it.
"""
