//! The sequences of an epoch.

use super::builder::{Epoch, Plan, Segments};
use super::error::SequenceError;
use super::layout::Layout;
use super::sequence::Sequence;
use super::settings::SequenceSettings;
use crate::pretraining::corpus::Corpus;
use crate::random::{KeyedPurpose, Random};

/// The sequences of an epoch in random order. Depends only on the corpus, the documents, the settings, the seed and the
/// epoch.
///
/// Takes 20 bytes per sequence, or 28 for pairs and [`Packing::Electra`](super::Packing::Electra), and 4 bytes per
/// document for running text.
#[derive(Debug)]
pub struct EpochPlan {
    pub(super) layout: Layout,
    pass: u64,
    plan: Box<dyn Plan>,
    /// Numbers of the sequences, in the order of the epoch.
    pub(super) order: Vec<u32>,
}

impl EpochPlan {
    /// Plans an epoch over the given documents of the corpus: either the training or the held-out documents.
    ///
    /// # Errors
    /// [`SequenceError`] if there are no documents, if settings are out of range (the first problem; see
    /// [`SequenceSettings::check`] for all), or if there is only one document to draw a random next sentence from.
    ///
    /// # Panics
    /// A document is not in the corpus, or there are 2³² sequences.
    pub fn new(
        corpus: &Corpus,
        documents: &[u32],
        settings: &SequenceSettings,
        seed: u64,
        epoch: u64,
    ) -> Result<Self, SequenceError> {
        if let Err(mut problems) = settings.check() {
            return Err(problems.swap_remove(0));
        }
        if documents.is_empty() {
            return Err(SequenceError::NoDocuments);
        }
        let pass = settings
            .static_passes
            .map_or(epoch, |passes| epoch % passes);
        let mut random = Random::keyed(seed, KeyedPurpose::Sequences, pass, 0);
        let mut documents = documents.to_vec();
        random.shuffle(&mut documents);
        let layout = settings.layout();
        let source = Epoch {
            corpus,
            documents: &documents,
            layout: &layout,
            segments: Segments { seed, pass },
        };
        let plan = settings.packing.builder().plan(&source, &mut random)?;
        let count = u32::try_from(plan.len()).expect("an epoch has fewer than 2^32 sequences");
        let mut order: Vec<u32> = (0..count).collect();
        Random::keyed(seed, KeyedPurpose::SequenceOrder, epoch, 0).shuffle(&mut order);
        Ok(Self {
            layout,
            pass,
            plan,
            order,
        })
    }

    /// Number of sequences; at least one.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Number of tokens of a sequence, special tokens included.
    ///
    /// # Panics
    /// There is no sequence `index`.
    pub fn length(&self, index: usize) -> usize {
        self.plan.tokens(self.order[index] as usize, &self.layout)
    }

    /// The period in which sequences and masks repeat: the epoch, or the epoch modulo
    /// [`static_passes`](SequenceSettings::static_passes).
    ///
    /// Together with [`EpochPlan::number`] it is the key of a sequence's masks:
    /// [`Masking::mask`](crate::pretraining::masking::Masking::mask).
    pub fn pass(&self) -> u64 {
        self.pass
    }

    /// The number of a sequence in its pass, independent of the order of the epoch.
    ///
    /// # Panics
    /// There is no sequence `index`.
    pub fn number(&self, index: usize) -> u64 {
        u64::from(self.order[index])
    }

    /// Builds a sequence, in time linear in its length.
    ///
    /// `corpus` is the corpus that the plan was made for.
    ///
    /// # Panics
    /// There is no sequence `index`, or `corpus` is a different corpus.
    pub fn sequence(&self, corpus: &Corpus, index: usize) -> Sequence {
        let number = self.order[index] as usize;
        let mut sequence = Sequence::with_capacity(self.length(index));
        sequence.push_special(self.layout.cls, 0);
        self.plan.fill(number, &mut sequence, corpus, &self.layout);
        sequence
    }
}
