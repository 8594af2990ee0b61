//! The tables from which the tensor names of a checkpoint are built.

/// Hugging Face's names for the tensors of a family.
#[derive(Debug)]
pub(crate) struct Names {
    pub encoder: EncoderNames,
    pub head: HeadNames,
}

/// The names of the encoder's tensors, without the prefix.
#[derive(Debug)]
pub(crate) struct EncoderNames {
    /// The prefix of the encoder's tensors in classes with a head: `bert.`.
    pub prefix: &'static str,
    /// The linear layer from the width of the embeddings to that of the blocks.
    pub projection: &'static str,
    /// The path of a parameter set, given its number and the number of blocks in a group.
    pub block: fn(usize, usize) -> String,
    pub blocks: BlockNames,
    pub pooler: &'static str,
}

/// The names of the modules in a block.
#[derive(Debug)]
pub(crate) struct BlockNames {
    /// Query, key and value.
    pub qkv: [&'static str; 3],
    pub attention_output: &'static str,
    pub attention_norm: &'static str,
    pub intermediate: &'static str,
    pub output: &'static str,
    pub output_norm: &'static str,
}

/// The names of the heads' modules.
#[derive(Debug)]
pub(crate) struct HeadNames {
    pub mlm: MlmNames,
    /// The classifier of sentence pairs in pretraining.
    pub pair: &'static str,
    /// The hidden layer of the sequence classifier, where it has one.
    pub sequence_dense: &'static str,
    pub sequence_output: &'static str,
    /// The hidden layer of the head of multiple choice, where it has one.
    pub choice_dense: &'static str,
}

/// The names of the masked-LM head.
#[derive(Debug)]
pub(crate) struct MlmNames {
    pub dense: &'static str,
    pub norm: &'static str,
    /// Absent, or a copy of the word embedding, where the decoder is tied.
    pub decoder: &'static str,
    /// The bias of the decoder.
    pub bias: &'static str,
    /// A second name of the same bias, which some versions of transformers write.
    pub decoder_bias: Option<&'static str>,
    /// Whether an untied decoder is written with a copy of the bias under the second name.
    pub writes_decoder_bias: bool,
}

impl EncoderNames {
    /// The names of BERT, which most families share.
    pub const BERT: Self = Self {
        prefix: "bert",
        projection: "embeddings_project",
        block: |set, _| format!("encoder.layer.{set}"),
        blocks: BlockNames {
            qkv: [
                "attention.self.query",
                "attention.self.key",
                "attention.self.value",
            ],
            attention_output: "attention.output.dense",
            attention_norm: "attention.output.LayerNorm",
            intermediate: "intermediate.dense",
            output: "output.dense",
            output_norm: "output.LayerNorm",
        },
        pooler: "pooler.dense",
    };
}

impl HeadNames {
    /// The names of BERT.
    pub const BERT: Self = Self {
        mlm: MlmNames {
            dense: "cls.predictions.transform.dense",
            norm: "cls.predictions.transform.LayerNorm",
            decoder: "cls.predictions.decoder.weight",
            bias: "cls.predictions.bias",
            // Written by transformers before 5 and after: the decoder's bias is the head's.
            decoder_bias: Some("cls.predictions.decoder.bias"),
            writes_decoder_bias: true,
        },
        pair: "cls.seq_relationship",
        sequence_dense: "classifier.dense",
        sequence_output: "classifier",
        choice_dense: "classifier.dense",
    };
}
