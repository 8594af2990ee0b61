//! Losses and gradients of objectives, compared with those of transformers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bertkit_model::weights::to_vec;
use bertkit_model::{
    Batch, Context, DiscriminatorModel, Electra, HeadPolicy, MlmModel, ModelFolder, Naming,
    PretrainingModel, TrainingPass,
};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor};
use safetensors::SafeTensors;

use super::{Objective, rtd};
use crate::pretrain::batch::MaskedBatch;
use crate::pretrain::descriptor::LossSettings;
use crate::pretrain::loss::Loss;
use crate::pretrain::model::PretrainModel;
use crate::pretrain::objective_list::ObjectiveList;

/// A case written by a script of `scripts/golden`.
struct Case {
    folder: PathBuf,
    bytes: Vec<u8>,
    about: serde_json::Value,
}

impl Case {
    fn open(folder: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let about = std::fs::read_to_string(folder.join("case.json")).unwrap();
        Self {
            bytes: std::fs::read(folder.join("io.safetensors")).unwrap(),
            about: serde_json::from_str(&about).unwrap(),
            folder,
        }
    }

    fn ints(&self, name: &str) -> Vec<i64> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        let cells = tensor.data().chunks_exact(8);
        cells
            .map(|b| i64::from_le_bytes(b.try_into().unwrap()))
            .collect()
    }

    fn number(&self, path: &str) -> f64 {
        self.about.pointer(path).unwrap().as_f64().unwrap()
    }

    /// The masked batch of `original` without padding, and the cells that are kept.
    fn masked(&self, seen: &str, was: &[i64], chosen: &[bool]) -> (MaskedBatch, Vec<usize>) {
        let (ids, mask) = (self.ints(seen), self.ints("in.attention_mask"));
        let types = self.ints("in.token_type_ids");
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let length = tensors.tensor(seen).unwrap().shape()[1];
        let kept: Vec<usize> = (0..ids.len()).filter(|&cell| mask[cell] == 1).collect();
        let lengths: Vec<usize> = mask
            .chunks(length)
            .map(|row| row.iter().sum::<i64>() as usize)
            .collect();
        let rows: Vec<usize> = (0..kept.len()).filter(|&row| chosen[kept[row]]).collect();
        let batch = MaskedBatch {
            batch: Batch::new(
                kept.iter().map(|&cell| ids[cell] as u32).collect(),
                kept.iter().map(|&cell| types[cell] as u8).collect(),
                &lengths,
            ),
            targets: rows.iter().map(|&row| was[kept[row]] as u32).collect(),
            keys: vec![0; rows.len()],
            rows,
            labels: Vec::new(),
            epoch: 0,
            numbers: vec![0; lengths.len()],
        };
        (batch, kept)
    }

    /// Compares the gradient of every parameter.
    fn check<M: Module>(&self, model: &M, naming: Naming, loss: Tensor<1>) {
        let ours = gradients(model, naming, &loss.backward());
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let tolerance = self.number("/tolerance/grad") as f32;
        let mut compared = 0;
        for name in tensors.names() {
            let Some(parameter) = name.strip_prefix("grad.") else {
                continue;
            };
            let golden = tensors.tensor(name).unwrap();
            let golden = golden
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            let ours = ours
                .get(parameter)
                .unwrap_or_else(|| panic!("no gradient for {parameter}"));
            assert_eq!(ours.len(), golden.len(), "{parameter}");
            for (a, b) in ours.iter().zip(golden) {
                assert!((a - b).abs() <= tolerance, "{parameter}: {a} {b}");
            }
            compared += 1;
        }
        assert!(compared > 30, "{compared} gradients");
    }
}

/// The gradient of every parameter under its name in a checkpoint.
fn gradients<M: Module>(
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
            let parts = self.naming.parts(&self.path.join("."));
            let length = values.len() / parts.len();
            for (part, values) in parts.iter().zip(values.chunks(length)) {
                let name = self.naming.full_name(part);
                self.found.insert(name.clone(), values.to_vec());
                if name == "cls.predictions.bias" {
                    let other = "cls.predictions.decoder.bias".to_owned();
                    self.found.insert(other, values.to_vec());
                }
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

fn near(ours: f64, golden: f64, tolerance: f64) {
    assert!((ours - golden).abs() <= tolerance, "{ours} {golden}");
}

const SETTINGS: LossSettings = LossSettings {
    temperature: 1.0,
    disallow_correct: false,
};

/// The losses of these objectives on a model.
fn losses<M: PretrainModel>(objectives: &ObjectiveList) -> Vec<Box<dyn Loss<M>>> {
    let losses = objectives
        .active()
        .map(|(objective, _)| M::loss_of(objective, &SETTINGS).unwrap());
    losses.collect()
}

/// The mean of each loss, given its sum over the items, and the weighted sum of the means.
fn means<M>(
    objectives: &ObjectiveList,
    losses: &[Box<dyn Loss<M>>],
    batch: &MaskedBatch,
    sums: Vec<Tensor<1>>,
) -> (Vec<f64>, Tensor<1>) {
    let items = losses.iter().map(|loss| loss.items(batch));
    let parts: Vec<Tensor<1>> = sums.into_iter().zip(items).map(|(s, n)| s / n).collect();
    let values = parts.iter().map(|part| f64::from(to_vec(part.clone())[0]));
    let values = values.collect();
    let weighted = parts.into_iter().zip(objectives.active());
    let total = weighted
        .map(|(part, (_, weight))| part * weight)
        .reduce(|a, b| a + b);
    (values, total.unwrap())
}

#[test]
fn golden_electra_agrees_in_both_losses_and_all_gradients() {
    let case = Case::open("tests/golden/electra-rtd");
    let device = Device::flex().autodiff();
    let discriminator = ModelFolder::open(&case.folder.join("model")).unwrap();
    let generator = ModelFolder::open(&case.folder.join("generator")).unwrap();
    let required = HeadPolicy::Required;
    let model = Electra::new(
        DiscriminatorModel::load(&discriminator, 0, &device, required)
            .unwrap()
            .0,
        MlmModel::load(&generator, 0, &device, required).unwrap().0,
    );
    let objectives = ObjectiveList::new([
        (Objective::MaskedLm, 1.0),
        (Objective::ReplacedTokens, case.number("/weights/1")),
    ]);
    let chosen: Vec<bool> = case.ints("in.chosen").iter().map(|&c| c == 1).collect();
    let (batch, kept) = case.masked("in.masked", &case.ints("in.original"), &chosen);
    let sampled = case.ints("in.sampled");
    let sampled: Vec<u32> = batch
        .rows
        .iter()
        .map(|&row| sampled[kept[row]] as u32)
        .collect();
    let losses = losses::<Electra>(&objectives);
    let forward = model.forward(&batch, 1, 0, Context::default());
    let sums = vec![
        losses[0].sum(&forward),
        rtd::sum_on_samples(&model, &batch, &sampled, Context::default()),
    ];
    let (means, total) = means(&objectives, &losses, &batch, sums);
    let tolerance = case.number("/tolerance/loss");
    near(means[0], case.number("/mlm_loss"), tolerance);
    near(means[1], case.number("/rtd_loss"), tolerance);
    case.check(&model, Electra::naming(&discriminator.config), total);
}

#[test]
fn golden_pretraining_of_bert_agrees_in_loss_and_all_gradients() {
    let case = Case::open("../model/tests/golden/cases/bert-pretraining-nsp");
    let device = Device::flex().autodiff();
    let folder = ModelFolder::open(&case.folder).unwrap();
    let (model, _) = PretrainingModel::load(&folder, 0, &device, HeadPolicy::Required).unwrap();
    let labels = case.ints("in.labels");
    let chosen: Vec<bool> = labels.iter().map(|&label| label != -100).collect();
    let (mut batch, _) = case.masked("in.input_ids", &labels, &chosen);
    let next = case.ints("in.next_sentence_label");
    batch.labels = next.iter().map(|&label| label as u32).collect();
    let objectives: ObjectiveList = "mlm+nsp".parse().unwrap();
    let losses = losses::<PretrainingModel>(&objectives);
    // Dropout is 0 in the case: training is inference.
    let pass = TrainingPass::new(1, 0);
    let context = Context::default().training(&pass);
    let forward = model.forward(&batch, 1, 0, context);
    let sums = losses.iter().map(|loss| loss.sum(&forward)).collect();
    let (means, total) = means(&objectives, &losses, &batch, sums);
    near(
        means.iter().sum(),
        case.number("/loss"),
        case.number("/tolerance/out"),
    );
    let naming = PretrainingModel::naming(&folder.config);
    case.check(&model, naming, total);
}
