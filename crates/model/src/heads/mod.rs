//! Heads: one struct each, named after what it predicts.

mod choice;
mod crf;
mod discriminator;
mod joint;
mod mlm;
mod pretraining;
mod sections;
mod sequence;
mod span;
mod token;

pub use choice::ChoiceHead;
pub use crf::Crf;
pub use discriminator::DiscriminatorHead;
pub use joint::{Answerable, JointScores, JointSpan, ProposedSpan, SpanTarget};
pub use mlm::MlmHead;
pub use pretraining::PretrainingHead;
pub use sections::{Pooling, SectionAttention};
pub use sequence::SequenceHead;
pub use span::SpanHead;
pub use token::TokenHead;
