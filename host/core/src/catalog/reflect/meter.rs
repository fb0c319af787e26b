//! A count of what a stranger's types or values make the host hold.

/// What is left.
#[derive(Debug)]
pub(super) struct Meter {
    limit: usize,
    left: usize,
}

/// More than there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) limit: usize,
}

impl Meter {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, left: limit }
    }

    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), Spent> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(Spent { limit: self.limit })
            }
        }
    }

    pub(super) fn used(&self) -> usize {
        self.limit - self.left
    }
}
