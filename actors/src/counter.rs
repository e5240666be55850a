//! Counts, and says how far it is.

use enact::prelude::*;

/// Counts the messages on `input`, adds up the numbers among them, and tells its count now and then.
#[derive(Component)]
#[component(version = "1.0.0")]
pub struct Counter {
    /// The count is sent on `total` after every so many messages.
    #[param(default = 1, min = 1)]
    every: u64,
    /// The count so far.
    #[output]
    total: Out<u64>,
    /// Messages so far; kept over restarts, moves and upgrades.
    #[state]
    count: u64,
    /// The sum of those that were numbers.
    #[state]
    sum: f64,
}

#[component]
impl Counter {
    /// Any message counts.
    #[input]
    fn input(&mut self, message: Value) {
        self.count += 1;
        self.sum += message.as_f64().unwrap_or_default();
        if self.count.is_multiple_of(self.every) {
            self.total.send(self.count);
        }
    }

    /// The count so far.
    #[input]
    fn count(&mut self, _ask: ()) -> Result<u64> {
        Ok(self.count)
    }

    /// The sum of the numbers so far.
    #[input]
    fn sum(&mut self, _ask: ()) -> Result<f64> {
        Ok(self.sum)
    }

    /// Starts again from zero.
    #[input]
    fn reset(&mut self, _ask: ()) {
        self.count = 0;
        self.sum = 0.0;
    }
}
