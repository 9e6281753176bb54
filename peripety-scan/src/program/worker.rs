//! The thread of one device: it does what may block, and answers.

use std::{
    sync::mpsc::{self, Receiver, Sender},
    thread,
};

use peripety_block::Roots;

use crate::{
    config::Method,
    machine::Device,
    method::{self, Engine, Rested, Trouble},
    pass::Step,
};

/// What it is to do.
enum Order {
    Step { from: u64, len: u64 },
    Rest,
}

/// What became of an order.
pub(super) enum Answer {
    Stepped(Result<Step, Trouble>),
    Rested(Rested),
}

/// A thread that waits for orders; it ends with this.
pub(super) struct Worker {
    orders: Sender<Order>,
}

/// What a worker is for.
pub(super) struct Work {
    pub(super) method: Method,
    pub(super) device: Device,
    pub(super) rate: u64,
    pub(super) adopt: bool,
}

impl Worker {
    /// Begins one, whose answers come with this number.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn begin(
        number: u64,
        work: Work,
        roots: &Roots,
        answers: Sender<(u64, Answer)>,
    ) -> std::io::Result<Self> {
        let (orders, received) = mpsc::channel();
        let roots = roots.clone();
        thread::Builder::new()
            .name("device".to_owned())
            .spawn(move || run(number, &work, &roots, &received, &answers))?;
        Ok(Self { orders })
    }

    /// Goes on there; whether the thread is there.
    pub(super) fn step(&self, from: u64, len: u64) -> bool {
        self.orders.send(Order::Step { from, len }).is_ok()
    }

    /// Is to wait.
    pub(super) fn rest(&self) -> bool {
        self.orders.send(Order::Rest).is_ok()
    }
}

fn run(number: u64, work: &Work, roots: &Roots, orders: &Receiver<Order>, answers: &Sender<(u64, Answer)>) {
    let mut engine: Option<Box<dyn Engine>> = None;
    let mut adopt = work.adopt;
    while let Ok(order) = orders.recv() {
        let answer = match (order, &mut engine) {
            (Order::Step { from, len }, Some(engine)) => Answer::Stepped(engine.step(from, len)),
            (Order::Step { from, len }, none) => {
                let opened =
                    method::open(work.method, &work.device, work.rate, std::mem::take(&mut adopt), roots);
                Answer::Stepped(opened.and_then(|mut opened| {
                    let step = opened.step(from, len);
                    *none = Some(opened);
                    step
                }))
            }
            (Order::Rest, Some(engine)) => Answer::Rested(engine.rest()),
            (Order::Rest, None) => Answer::Rested(Rested::default()),
        };
        // What cannot be scanned is opened anew.
        if matches!(answer, Answer::Stepped(Err(Trouble::Gone | Trouble::Failed(_)))) {
            engine = None;
        }
        if answers.send((number, answer)).is_err() {
            return;
        }
    }
    // The device is no longer scanned.
    if let Some(mut engine) = engine {
        engine.rest();
    }
}
