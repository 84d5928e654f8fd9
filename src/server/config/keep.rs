//! What a charge says about answers that are kept.

use super::Charge;
use crate::server::kept::KeptAnswers;

impl Charge {
    /// DOCS
    pub fn keep_answers(mut self, kept: KeptAnswers) -> Self {
        self.kept = Some(kept);
        self
    }
}
