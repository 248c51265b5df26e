//! The optimizers on candle: SGD with momentum and `AdamW`, with the formulas of `PyTorch`.
//!
//! candle-nn 0.11.1 has an SGD without momentum, and an `AdamW` that keeps its moments to itself, which a checkpoint
//! needs. So this is an [`Optimizer`](candle_nn::Optimizer) of its own; a test compares it with candle-nn's.

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};

use crate::training::config::Optimizer;

const BETAS: [f64; 2] = [0.9, 0.999];
const EPS: f64 = 1e-8;

/// Parameters with their moments.
pub(crate) struct Update {
    pub vars: Vec<Var>,
    /// First moment of each gradient, for SGD its velocity; empty for SGD without momentum.
    pub first: Vec<Var>,
    /// Second moment of each gradient; empty for SGD.
    pub second: Vec<Var>,
    /// The rule, the factor of its learning rate, and the number of the next step, from 1.
    pub rule: Optimizer,
    pub factor: f64,
    pub number: usize,
}

impl candle_nn::Optimizer for Update {
    type Config = Optimizer;

    fn new(vars: Vec<Var>, rule: Optimizer) -> Result<Self> {
        let zeros = |wanted: bool| -> Result<Vec<Var>> {
            vars.iter().filter(|_| wanted).map(|var| Var::from_tensor(&var.zeros_like()?)).collect()
        };
        let (first, second) = match rule {
            Optimizer::Sgd { momentum, .. } => (zeros(momentum != 0.0)?, vec![]),
            Optimizer::AdamW { .. } => (zeros(true)?, zeros(true)?),
        };
        Ok(Self { vars, first, second, rule, factor: 1.0, number: 1 })
    }

    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        for (at, var) in self.vars.iter().enumerate() {
            let Some(gradient) = gradients.get(var) else { continue };
            let weight = var.as_tensor();
            let new = match (self.rule, self.first.get(at), self.second.get(at)) {
                (Optimizer::Sgd { momentum, .. }, Some(velocity), _) => {
                    velocity.set(&((velocity.as_tensor() * momentum)? + gradient)?)?;
                    (weight - (velocity.as_tensor() * self.learning_rate())?)?
                }
                (Optimizer::AdamW { weight_decay, .. }, Some(first), Some(second)) => {
                    average(first, gradient, BETAS[0])?;
                    average(second, &gradient.sqr()?, BETAS[1])?;
                    let corrected =
                        |beta: f64| 1.0 - beta.powi(i32::try_from(self.number).unwrap_or(i32::MAX));
                    let size = (second.sqrt()? / corrected(BETAS[1]).sqrt())?;
                    let rate = self.learning_rate() / corrected(BETAS[0]);
                    let change = (first.as_tensor() * rate)?.div(&(size + EPS)?)?;
                    ((weight * (1.0 - self.learning_rate() * weight_decay))? - change)?
                }
                _ => (weight - (gradient * self.learning_rate())?)?,
            };
            var.set(&new)?;
        }
        self.number += 1;
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        let (Optimizer::Sgd { lr, .. } | Optimizer::AdamW { lr, .. }) = self.rule;
        lr * self.factor
    }

    fn set_learning_rate(&mut self, rate: f64) {
        let (Optimizer::Sgd { lr, .. } | Optimizer::AdamW { lr, .. }) = self.rule;
        self.factor = rate / lr;
    }
}

/// Moves an average towards new numbers.
fn average(average: &Var, new: &Tensor, beta: f64) -> Result<()> {
    let moved = ((average.as_tensor() * beta)? + (new * (1.0 - beta))?)?;
    average.set(&moved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use candle_nn::Optimizer as _;

    /// Three steps on a quadratic give the weights of candle-nn's own optimizers.
    #[test]
    fn steps_are_those_of_candle_nn() {
        let start = Tensor::new(&[1.0_f32, -0.5, 0.25], &Device::Cpu).unwrap();
        let loss = |var: &Var| (var.as_tensor() - 0.3).unwrap().sqr().unwrap().sum_all().unwrap();
        let run = |mut optimizer: Box<dyn FnMut(&Tensor)>, var: &Var| {
            (0..3).for_each(|_| optimizer(&loss(var)));
            var.to_vec1::<f32>().unwrap()
        };
        let near = |own: Vec<f32>, theirs: Vec<f32>| {
            assert!(own.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-6), "{own:?} {theirs:?}");
        };
        let [own, theirs] = [(), ()].map(|()| Var::from_tensor(&start).unwrap());
        let mut adam =
            Update::new(vec![own.clone()], Optimizer::AdamW { lr: 0.1, weight_decay: 0.2 }).unwrap();
        let settings = candle_nn::ParamsAdamW { lr: 0.1, weight_decay: 0.2, ..Default::default() };
        let mut peer = candle_nn::AdamW::new(vec![theirs.clone()], settings).unwrap();
        near(
            run(Box::new(move |loss| adam.backward_step(loss).unwrap()), &own),
            run(Box::new(move |loss| peer.backward_step(loss).unwrap()), &theirs),
        );
        let [own, theirs] = [(), ()].map(|()| Var::from_tensor(&start).unwrap());
        let mut sgd = Update::new(vec![own.clone()], Optimizer::Sgd { lr: 0.1, momentum: 0.0 }).unwrap();
        let mut peer = candle_nn::SGD::new(vec![theirs.clone()], 0.1).unwrap();
        near(
            run(Box::new(move |loss| sgd.backward_step(loss).unwrap()), &own),
            run(Box::new(move |loss| peer.backward_step(loss).unwrap()), &theirs),
        );
    }
}
