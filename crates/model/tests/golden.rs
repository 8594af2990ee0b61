//! Parity with Hugging Face transformers: every golden case, every stage.
//!
//! `BERTKIT_GOLDEN_DIR` names another folder of cases, made by `scripts/golden/make_golden.py`
//! with another seed. Cases of families that are not supported are left out by name. `BERTKIT_GOLDEN_DEVICE` (`wgpu`, `cuda:1`, …) names a device on which all cases
//! are computed besides the CPU; without it a few are on the first adapter of wgpu, if there is one.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use bertkit_model::heads::{
    ChoiceHead, DiscriminatorHead, MlmHead, PretrainingHead, SequenceHead, SpanHead, TokenHead,
};
use bertkit_model::losses::{ClassLoss, binary_cross_entropy, squared_error};
use bertkit_model::weights::{self, to_vec};
use bertkit_model::{
    Activation, Architecture, Batch, Context, DeviceSpec, Encoder, Family, Head, HeadPolicy,
    Initializer, Model, ModelFolder, Naming, Precision, TrainingPass, ops,
};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use safetensors::SafeTensors;

/// The first row of each sequence.
fn first_tokens(hidden: Tensor<2>, batch: &Batch) -> Tensor<2> {
    let rows: Vec<i32> = batch
        .sequences
        .first_rows()
        .into_iter()
        .map(|row| row as i32)
        .collect();
    let rows: Tensor<1, Int> = Tensor::from_ints(rows.as_slice(), &hidden.device());
    hidden.select(0, rows)
}

fn cases_dir() -> PathBuf {
    std::env::var_os("BERTKIT_GOLDEN_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cases"),
        PathBuf::from,
    )
}

/// The folders of all cases whose family is supported. Families that are not are printed.
fn case_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(cases_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|folder| folder.join("case.json").exists() && !folder.ends_with("optimizer"))
        .collect();
    folders.sort();
    let mut left_out = BTreeMap::<String, usize>::new();
    folders.retain(|folder| {
        let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        let family = config["model_type"].as_str().unwrap();
        let supported = Family::from_model_type(family).is_some();
        if !supported {
            *left_out.entry(family.into()).or_default() += 1;
        }
        supported
    });
    for (family, cases) in left_out {
        println!("left out: {family} (family not supported yet), {cases} cases");
    }
    folders
}

/// The inputs and outputs of a case, by name.
struct Recorded {
    bytes: Vec<u8>,
}

impl Recorded {
    fn open(folder: &Path) -> Self {
        Self {
            bytes: std::fs::read(folder.join("io.safetensors")).unwrap(),
        }
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).unwrap()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let tensors = self.tensors();
        let tensor = tensors.tensor(name).unwrap();
        tensor
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    }

    fn ints(&self, name: &str) -> Option<Vec<i64>> {
        let tensors = self.tensors();
        let tensor = tensors.tensor(name).ok()?;
        Some(
            tensor
                .data()
                .chunks_exact(8)
                .map(|b| i64::from_le_bytes(b.try_into().unwrap()))
                .collect(),
        )
    }

    fn has(&self, name: &str) -> bool {
        self.tensors().tensor(name).is_ok()
    }

    fn gradient_names(&self) -> Vec<String> {
        let tensors = self.tensors();
        tensors
            .names()
            .into_iter()
            .filter_map(|n| n.strip_prefix("grad.").map(str::to_owned))
            .collect()
    }
}

struct Case {
    name: String,
    folder: PathBuf,
    recorded: Recorded,
    batch: Batch,
    /// For each packed row, its cell in the padded `[batch, length]`.
    cells: Vec<usize>,
    out: f32,
    grad: f32,
    loss: Option<f64>,
    class: String,
    device: Device,
    context: Context<'static>,
    /// Allowed difference by the largest number of the tensor; `None` takes the case's own bounds.
    relative: Option<f32>,
}

impl Case {
    fn open(folder: &Path) -> Self {
        Self::open_on(folder, Device::flex(), None)
    }

    fn open_on(folder: &Path, device: Device, relative: Option<f32>) -> Self {
        let about: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(folder.join("case.json")).unwrap())
                .unwrap();
        let recorded = Recorded::open(folder);
        let ids = recorded.ints("in.input_ids").unwrap();
        let mask = recorded.ints("in.attention_mask").unwrap();
        let types = recorded.ints("in.token_type_ids");
        let length = recorded.tensors().tensor("in.input_ids").unwrap().shape()[1];
        let cells: Vec<usize> = (0..ids.len()).filter(|&i| mask[i] == 1).collect();
        let lengths: Vec<usize> = mask
            .chunks(length)
            .map(|row| row.iter().filter(|&&m| m == 1).count())
            .collect();
        let batch = Batch::new(
            cells.iter().map(|&c| ids[c] as u32).collect(),
            cells
                .iter()
                .map(|&c| types.as_ref().map_or(0, |t| t[c] as u8))
                .collect(),
            &lengths,
        );
        Self {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            folder: folder.into(),
            batch,
            cells,
            out: about["tolerance"]["out"].as_f64().unwrap() as f32,
            grad: about["tolerance"]["grad"].as_f64().unwrap() as f32,
            loss: about["loss"].as_f64(),
            class: about["class"].as_str().unwrap().into(),
            recorded,
            device: device.autodiff(),
            context: Context::default(),
            relative,
        }
    }

    fn near(&self, what: &str, ours: &[f32], golden: &[f32], tolerance: f32) {
        assert_eq!(ours.len(), golden.len(), "{}: size of {what}", self.name);
        let worst = ours
            .iter()
            .zip(golden)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        let largest = golden.iter().map(|g| g.abs()).fold(0.0, f32::max);
        // The floor is for gradients that are 0 but for rounding, as those of the keys' biases.
        let tolerance = self
            .relative
            .map_or(tolerance, |relative| relative * largest + 1e-6);
        assert!(
            worst <= tolerance,
            "{}: {what} differs by {worst:e}, allowed {tolerance:e}",
            self.name
        );
    }

    /// Rows of width `w` against the padded output `name`, padding left out.
    fn rows_near(&self, name: &str, rows: Tensor<2>) {
        let [_, w] = rows.dims();
        let golden = self.recorded.floats(name);
        let golden: Vec<f32> = self
            .cells
            .iter()
            .flat_map(|&c| golden[c * w..(c + 1) * w].to_vec())
            .collect();
        self.near(name, &to_vec(rows), &golden, self.out);
    }

    fn states(&self, encoder: &Encoder) -> Tensor<2> {
        let states = encoder.hidden_states(&self.batch, self.context);
        for (i, state) in states.iter().enumerate() {
            self.rows_near(&format!("out.hidden_states.{i}"), state.clone());
        }
        assert!(
            !self
                .recorded
                .has(&format!("out.hidden_states.{}", states.len()))
        );
        states.last().unwrap().clone()
    }

    /// The packed rows that carry a label, and the labels.
    fn labelled(&self) -> (Vec<usize>, Vec<i64>) {
        let labels = self.recorded.ints("in.labels").unwrap();
        (0..self.cells.len())
            .map(|row| (row, labels[self.cells[row]]))
            .filter(|&(_, label)| label != -100)
            .unzip()
    }

    fn index(&self, values: impl IntoIterator<Item = i64>) -> Tensor<1, Int> {
        let values: Vec<i32> = values.into_iter().map(|v| v as i32).collect();
        let n = values.len();
        Tensor::from_data(TensorData::new(values, [n]), &self.device)
    }

    fn mean_cross_entropy(&self, logits: Tensor<2>, labels: Vec<i64>) -> Tensor<1> {
        let weights = Tensor::ones([labels.len()], &self.device);
        ClassLoss::CROSS_ENTROPY
            .per_row(logits, self.index(labels), weights)
            .mean()
    }

    fn cells_loss(&self, logits: Tensor<2>) -> Tensor<1> {
        let (rows, labels) = self.labelled();
        self.mean_cross_entropy(
            logits.select(0, self.index(rows.iter().map(|&r| r as i64))),
            labels,
        )
    }

    fn check_loss<M: Module>(&self, model: &M, naming: Naming, loss: Tensor<1>) {
        let ours = to_vec(loss.clone())[0];
        self.near("loss", &[ours], &[self.loss.unwrap() as f32], self.out);
        let gradients = named_gradients(model, naming, &loss.backward());
        for name in self.recorded.gradient_names() {
            let ours = gradients
                .get(&name)
                .unwrap_or_else(|| panic!("{}: no gradient for {name}", self.name));
            self.near(
                &format!("gradient of {name}"),
                ours,
                &self.recorded.floats(&format!("grad.{name}")),
                self.grad,
            );
        }
    }

    fn load<H: Head>(&self, outputs: usize) -> Model<H> {
        let folder = ModelFolder::open(&self.folder).unwrap();
        let (model, report) =
            Model::load(&folder, outputs, &self.device, HeadPolicy::Required).unwrap();
        assert_eq!(report, Default::default(), "{}", self.name);
        model
    }

    // Long because it has one arm for each class of models.
    fn run(&self) {
        let folder = ModelFolder::open(&self.folder).unwrap();
        let discriminator = folder.config.family.has_head(Architecture::Discriminator);
        match self
            .class
            .rsplit_once("For")
            .map_or("Model", |(_, head)| head)
        {
            "Model" => self.encoder_alone(&folder),
            "MaskedLM" => self.masked_lm(&folder),
            "PreTraining" if discriminator => self.discriminator(&folder),
            "PreTraining" => self.pretraining(&folder),
            "SequenceClassification" => self.sequence_classification(&folder),
            "TokenClassification" => self.token_classification(&folder),
            "MultipleChoice" => self.multiple_choice(&folder),
            "QuestionAnswering" => self.question_answering(&folder),
            other => panic!("no test for the class {other}"),
        }
    }

    fn encoder_alone(&self, folder: &ModelFolder) {
        let context = self.context;
        let naming = Naming::new(&folder.config, Architecture::Encoder);
        let empty = Encoder::new(
            &folder.config.spec(),
            true,
            &mut Initializer::placeholders(&self.device),
        );
        let (encoder, report) = weights::load(
            empty,
            &folder.checkpoint,
            naming,
            HeadPolicy::Required,
            0.02,
        )
        .unwrap();
        assert_eq!(report, Default::default());
        let hidden = self.states(&encoder);
        self.rows_near("out.last_hidden_state", hidden.clone());
        let pooled = to_vec(encoder.pool(first_tokens(hidden, &self.batch), context));
        self.near(
            "pooler",
            &pooled,
            &self.recorded.floats("out.pooler_output"),
            self.out,
        );
    }

    fn masked_lm(&self, folder: &ModelFolder) {
        let context = self.context;
        let model = self.load::<MlmHead>(0);
        let words = &model.encoder.embeddings.word;
        let logits = model
            .head
            .forward(self.states(&model.encoder), words, context);
        self.rows_near("out.logits", logits.clone());
        let loss = self.cells_loss(logits);
        self.check_loss(&model, Model::<MlmHead>::naming(&folder.config), loss);
    }

    fn discriminator(&self, folder: &ModelFolder) {
        let context = self.context;
        let model = self.load::<DiscriminatorHead>(0);
        let logits = model
            .head
            .forward(self.states(&model.encoder), context)
            .unsqueeze_dim::<2>(1);
        self.rows_near("out.logits", logits.clone());
        let labels = self.recorded.ints("in.labels").unwrap();
        let targets: Vec<f32> = self.cells.iter().map(|&c| labels[c] as f32).collect();
        let n = targets.len();
        let targets = Tensor::from_data(TensorData::new(targets, [n, 1]), &self.device);
        let loss = binary_cross_entropy(logits, targets).mean();
        self.check_loss(
            &model,
            Model::<DiscriminatorHead>::naming(&folder.config),
            loss,
        );
    }

    fn pretraining(&self, folder: &ModelFolder) {
        let context = self.context;
        let model = self.load::<PretrainingHead>(0);
        let hidden = self.states(&model.encoder);
        let table = &model.encoder.embeddings.word;
        let words = model.head.mlm.forward(hidden.clone(), table, context);
        self.rows_near("out.prediction_logits", words.clone());
        let pooled = model
            .encoder
            .pool(first_tokens(hidden, &self.batch), context);
        let next = model.head.next_sentence(pooled, context);
        let (output, label) = match self.recorded.has("out.sop_logits") {
            true => ("out.sop_logits", "in.sentence_order_label"),
            false => ("out.seq_relationship_logits", "in.next_sentence_label"),
        };
        let golden = self.recorded.floats(output);
        self.near("pairs", &to_vec(next.clone()), &golden, self.out);
        let labels = self.recorded.ints(label).unwrap();
        let loss = self.cells_loss(words) + self.mean_cross_entropy(next, labels);
        self.check_loss(
            &model,
            Model::<PretrainingHead>::naming(&folder.config),
            loss,
        );
    }

    fn sequence_classification(&self, folder: &ModelFolder) {
        let context = self.context;
        let outputs = folder.checkpoint.classifier_outputs().unwrap_or(0);
        let model = self.load::<SequenceHead>(outputs);
        let hidden = self.states(&model.encoder);
        let pooled = model
            .encoder
            .pool(first_tokens(hidden, &self.batch), context);
        let logits = model.head.forward(pooled, context);
        self.near(
            "logits",
            &to_vec(logits.clone()),
            &self.recorded.floats("out.logits"),
            self.out,
        );
        let shape = logits.dims();
        let targets = || {
            let values = self.recorded.floats("in.labels");
            Tensor::from_data(TensorData::new(values, shape), &self.device)
        };
        let loss = match folder.config.problem_type {
            Some(bertkit_model::ProblemType::Regression) => squared_error(logits, targets()).mean(),
            Some(bertkit_model::ProblemType::MultiLabelClassification) => {
                binary_cross_entropy(logits, targets()).mean()
            }
            _ => self.mean_cross_entropy(logits, self.recorded.ints("in.labels").unwrap()),
        };
        self.check_loss(&model, Model::<SequenceHead>::naming(&folder.config), loss);
    }

    fn token_classification(&self, folder: &ModelFolder) {
        let context = self.context;
        let outputs = folder.checkpoint.classifier_outputs().unwrap_or(0);
        let model = self.load::<TokenHead>(outputs);
        let logits = model.head.forward(self.states(&model.encoder), context);
        self.rows_near("out.logits", logits.clone());
        let loss = self.cells_loss(logits);
        self.check_loss(&model, Model::<TokenHead>::naming(&folder.config), loss);
    }

    fn multiple_choice(&self, folder: &ModelFolder) {
        let context = self.context;
        let model = self.load::<ChoiceHead>(1);
        let hidden = self.states(&model.encoder);
        let pooled = model
            .encoder
            .pool(first_tokens(hidden, &self.batch), context);
        let logits = model.head.forward(pooled, context);
        let labels = self.recorded.ints("in.labels").unwrap();
        let choices = self.batch.len() / labels.len();
        let logits = logits.reshape([labels.len(), choices]);
        self.near(
            "logits",
            &to_vec(logits.clone()),
            &self.recorded.floats("out.logits"),
            self.out,
        );
        let loss = self.mean_cross_entropy(logits, labels);
        self.check_loss(&model, Model::<ChoiceHead>::naming(&folder.config), loss);
    }

    fn question_answering(&self, folder: &ModelFolder) {
        let context = self.context;
        let model = self.load::<SpanHead>(0);
        let (start, end) = model.head.forward(self.states(&model.encoder), context);
        let b = self.batch.len();
        let mut loss = Tensor::zeros([1], &self.device);
        for (name, logits) in [("start", start), ("end", end)] {
            self.near(
                name,
                &to_vec(logits.clone()),
                &self.recorded.floats(&format!("out.{name}_logits")),
                self.out,
            );
            let rows = logits.reshape([b, self.batch.tokens() / b]); // span cases have no padding
            let labels = self.recorded.ints(&format!("in.{name}_positions")).unwrap();
            loss = loss + self.mean_cross_entropy(rows, labels) / 2.0;
        }
        self.check_loss(&model, Model::<SpanHead>::naming(&folder.config), loss);
    }
}

/// The gradient of every parameter under its name in transformers.
fn named_gradients<M: Module>(
    model: &M,
    naming: Naming,
    gradients: &Gradients,
) -> HashMap<String, Vec<f32>> {
    struct Visitor<'a> {
        path: Vec<String>,
        naming: Naming,
        gradients: &'a Gradients,
        found: HashMap<String, Vec<f32>>,
    }
    impl ModuleVisitor for Visitor<'_> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let Some(gradient) = param.val().grad(self.gradients) else {
                return;
            };
            let values = to_vec(gradient);
            let path = self.path.join(".");
            if path.ends_with("embeddings.word") {
                // A tied decoder is the same parameter; an untied one replaces this below.
                let decoder = self.naming.parts("head.decoder").remove(0);
                self.found.insert(decoder, values.clone());
            }
            let parts = self.naming.parts(&path);
            let length = values.len() / parts.len();
            for (part, values) in parts.iter().zip(values.chunks(length)) {
                if let Some(alias) = self.naming.alias(part) {
                    self.found.insert(alias.into(), values.to_vec());
                }
                self.found
                    .insert(self.naming.full_name(part), values.to_vec());
            }
        }
    }
    let mut visitor = Visitor {
        path: Vec::new(),
        naming,
        gradients,
        found: HashMap::new(),
    };
    model.visit(&mut visitor);
    visitor.found
}

#[test]
fn golden_cases_agree_in_states_logits_loss_and_gradients() {
    let folders = case_folders();
    for folder in &folders {
        Case::open(folder).run();
    }
    let seen = folders.len();
    println!("golden: {seen} cases read");
    assert!(
        bertkit_model::ops::fused_calls() > 0,
        "the fused operations did not run"
    );
    // The committed cases are 21 or more; another folder may hold any number.
    let least = if std::env::var_os("BERTKIT_GOLDEN_DIR").is_some() {
        1
    } else {
        21
    };
    assert!(
        seen >= least,
        "only {seen} golden cases in {}",
        cases_dir().display()
    );
}

#[test]
fn golden_cases_agree_with_the_composed_operations_too() {
    let before = bertkit_model::ops::fused_calls();
    for folder in case_folders() {
        let mut case = Case::open(&folder);
        case.context = case.context.with_composed_operations();
        case.run();
    }
    assert_eq!(bertkit_model::ops::fused_calls(), before);
}

#[test]
fn golden_weights_survive_saving_under_the_same_names() {
    for name in [
        "bert-pretraining-nsp",
        "bert-masked-lm-untied",
        "albert-two-groups",
        "albert-pretraining-sop",
        "camembert-masked-lm",
    ] {
        let case = Case::open(
            &Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/golden/cases")
                .join(name),
        );
        let folder = tempfile::tempdir().unwrap();
        let opened = ModelFolder::open(&case.folder).unwrap();
        match name {
            "bert-pretraining-nsp" | "albert-pretraining-sop" => case
                .load::<PretrainingHead>(0)
                .save(&opened.config, folder.path())
                .unwrap(),
            _ => case
                .load::<MlmHead>(0)
                .save(&opened.config, folder.path())
                .unwrap(),
        }
        let written = ModelFolder::open(folder.path()).unwrap();
        let names = |folder: &ModelFolder| {
            let mut names: Vec<_> = folder.checkpoint.names().map(str::to_owned).collect();
            names.sort();
            names
        };
        assert_eq!(names(&written), names(&opened), "{name}");
        for tensor in names(&opened) {
            if tensor != "cls.predictions.bias" {
                assert_eq!(
                    written.checkpoint.read(&tensor).unwrap(),
                    opened.checkpoint.read(&tensor).unwrap(),
                    "{tensor}"
                );
            }
        }
    }
}

/// The device that is to be checked, and whether all cases are to be computed on it.
fn other_device() -> Option<(bertkit_model::ResolvedDevice, bool)> {
    let (spec, all) = match std::env::var("BERTKIT_GOLDEN_DEVICE") {
        Ok(name) => (name.parse().unwrap(), true),
        Err(_) if bertkit_model::devices().iter().any(|d| d.backend == "wgpu") => {
            (DeviceSpec::Wgpu(None), false)
        }
        Err(_) => return None,
    };
    Some((spec.resolve().unwrap_or_else(|e| panic!("{e}")), all))
}

/// One test, because the drivers of software Vulkan do not bear several at once.
#[test]
fn golden_cases_agree_within_1e_4_on_another_device() {
    let Some((device, all)) = other_device() else {
        println!(
            "left out: there is no adapter of wgpu here, and BERTKIT_GOLDEN_DEVICE is not set"
        );
        return;
    };
    println!("on {}", device.describe());
    gelu_has_its_own_gradient(&device.device);
    masks_are_those_of_their_keys_in_every_thread(&device.device);
    let f32_precision = Precision::F32.on(&device.device).unwrap();
    let few = ["bert-sequence-3", "bert-masked-lm", "electra-discriminator"];
    let mut seen = 0;
    for folder in case_folders() {
        let wanted = all || few.iter().any(|name| folder.ends_with(name));
        if wanted {
            let began = std::time::Instant::now();
            let mut case = Case::open_on(&folder, device.device.clone(), Some(1e-4));
            // As in an f32 run: the native f32 product of an NVIDIA GPU may use TF32.
            case.context = case.context.with_matmul_precision(f32_precision);
            case.run();
            seen += 1;
            println!("{}: {:.1} s", case.name, began.elapsed().as_secs_f64());
        }
    }
    let least = if std::env::var_os("BERTKIT_GOLDEN_DIR").is_some() {
        0
    } else {
        few.len()
    };
    assert!(seen >= least, "only {seen} golden cases");
}

/// Several threads that draw at once, as those of several devices do, get the masks of one that draws alone.
fn masks_are_those_of_their_keys_in_every_thread(device: &Device) {
    let draw = |seed: u64| {
        let pass = TrainingPass::new(seed, 0);
        let context = Context::default().training(&pass);
        let mut masks = Vec::new();
        for _ in 0..12 {
            let ones: Tensor<2> = Tensor::ones([9, 33], device);
            masks.push(to_vec(ops::dropout(ones, 0.3, context)));
        }
        masks
    };
    let seeds = [1, 2, 3];
    let alone = seeds.map(draw);
    assert_ne!(alone[0], alone[1]);
    assert_ne!(alone[0][0], alone[0][1]);
    let at_once = std::thread::scope(|scope| {
        let threads = seeds.map(|seed| scope.spawn(move || draw(seed)));
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(at_once, alone);
}

/// Burn's own GELU has the gradient of the tanh approximation on GPUs; ours has that of `x Φ(x)`.
fn gelu_has_its_own_gradient(device: &Device) {
    const N: usize = 1001;
    let points: Vec<f32> = (0..N).map(|i| i as f32 / 100.0 - 5.0).collect();
    let gradient = |gelu: &dyn Fn(Tensor<1>) -> Tensor<1>| {
        let data = TensorData::new(points.clone(), [N]);
        let x: Tensor<1> = Tensor::from_data(data, &device.clone().autodiff()).require_grad();
        let gradients = gelu(x.clone()).sum().backward();
        to_vec(x.grad(&gradients).unwrap())
    };
    // Φ(x) + x φ(x), Φ by the series of the error function, in f64.
    let exact = |x: f64| {
        let z = x / std::f64::consts::SQRT_2;
        let (mut term, mut sum) = (z, z);
        for n in 1..200 {
            let n = f64::from(n);
            term *= -z * z / n;
            sum += term / (2.0 * n + 1.0);
        }
        let erf = sum * 2.0 / std::f64::consts::PI.sqrt();
        let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        (1.0 + erf) / 2.0 + x * density
    };
    let worst = |found: Vec<f32>| {
        let pairs = points.iter().zip(found);
        pairs
            .map(|(&x, g)| (f64::from(g) - exact(f64::from(x))).abs())
            .fold(0.0, f64::max)
    };
    let ours = worst(gradient(&|x| ops::activate(x, Activation::Gelu)));
    let burns = worst(gradient(&burn::tensor::activation::gelu));
    println!("gradient of GELU on [-5, 5]: ours is off by {ours:.1e}, Burn's by {burns:.1e}");
    assert!(ours < 1e-5, "{ours:e}");
    if !bertkit_model::is_cpu(device) {
        // The reason why it is composed: once this fails, Burn's own may be used.
        assert!(burns > 1e-4, "{burns:e}");
    }
}
