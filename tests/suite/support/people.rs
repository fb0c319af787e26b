//! People who answer by a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use ringfence_core::{Person, Question};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Gives the next answer of a script to each question.
#[derive(Debug, Default)]
pub(crate) struct Script {
    answers: Mutex<VecDeque<Option<Value>>>,
    asked: Mutex<Vec<Question>>,
}

impl Script {
    pub(crate) fn new(answers: impl IntoIterator<Item = Option<Value>>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), asked: Mutex::default() })
    }

    pub(crate) fn asked(&self) -> Vec<Question> {
        self.asked.lock().unwrap().clone()
    }
}

impl Person for Script {
    fn ask(&self, question: Question) -> BoxFuture<'_, Option<Value>> {
        self.asked.lock().unwrap().push(question);
        let answer = self.answers.lock().unwrap().pop_front().flatten();
        Box::pin(std::future::ready(answer))
    }
}

/// Somebody whom the test sees being asked, and who answers when the test says so: what happens in between happens while
/// the skill waits.
#[derive(Debug)]
pub(crate) struct Patient {
    asked: UnboundedSender<Question>,
    answers: tokio::sync::Mutex<UnboundedReceiver<Value>>,
}

/// The test's end of a [`Patient`].
pub(crate) struct Desk {
    pub(crate) asked: UnboundedReceiver<Question>,
    pub(crate) answers: UnboundedSender<Value>,
}

impl Patient {
    pub(crate) fn new() -> (Arc<Self>, Desk) {
        let ((asked, questions), (answers, given)) = (unbounded_channel(), unbounded_channel());
        (Arc::new(Self { asked, answers: tokio::sync::Mutex::new(given) }), Desk { asked: questions, answers })
    }
}

impl Person for Patient {
    fn ask(&self, question: Question) -> BoxFuture<'_, Option<Value>> {
        Box::pin(async move {
            self.asked.send(question).ok()?;
            self.answers.lock().await.recv().await
        })
    }
}
