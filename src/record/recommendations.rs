//! What an HPA remembers after each sync, without a copy of the whole list per sync.

use crate::hpa::Recommendation;
use std::fmt;
use std::sync::Arc;

/// Changes in a row that are kept as such, before a list is kept whole again.
const MAX_CHANGES: u8 = 32;

/// Recommendations in the order of the HPA's memory. A sync adds one, often in the place of one that is out of every window, so
/// a list shares the others with the list before it.
#[derive(Clone)]
pub struct Recommendations(Arc<List>);

enum List {
    Whole(Box<[Recommendation]>),
    /// `earlier` with `own` at `place`, which may be its end.
    Changed {
        earlier: Arc<List>,
        place: u32,
        own: Recommendation,
        /// Changes in a row, this one included.
        changes: u8,
    },
}

impl Recommendations {
    /// As a list.
    pub fn to_vec(&self) -> Vec<Recommendation> {
        let mut changes = Vec::with_capacity(usize::from(MAX_CHANGES));
        let mut list = &*self.0;
        loop {
            match list {
                List::Changed { earlier, place, own, .. } => {
                    changes.push((*place as usize, *own));
                    list = earlier;
                }
                List::Whole(oldest) => {
                    let mut all = Vec::with_capacity(oldest.len() + changes.len());
                    all.extend_from_slice(oldest);
                    for (place, own) in changes.into_iter().rev() {
                        if place == all.len() { all.push(own) } else { all[place] = own }
                    }
                    return all;
                }
            }
        }
    }

    /// Takes the memory of an earlier list where that differs in one place only.
    pub(super) fn share(&mut self, earlier: &Recommendations) {
        // A list that is not shared yet is whole.
        let List::Whole(own) = &*self.0 else { return };
        let before = earlier.to_vec();
        let changes = match &*earlier.0 {
            List::Whole(_) => 1,
            List::Changed { changes, .. } => changes + 1,
        };
        let grows = own.len().checked_sub(before.len());
        if changes > MAX_CHANGES || !matches!(grows, Some(0 | 1)) {
            return;
        }
        // An added one is a place in which they differ.
        let mut differ = (0..own.len()).filter(|place| own.get(*place) != before.get(*place));
        self.0 = match (differ.next(), differ.next()) {
            (None, _) => Arc::clone(&earlier.0),
            (Some(place), None) => {
                let (earlier, own) = (Arc::clone(&earlier.0), own[place]);
                let place = u32::try_from(place).expect("an HPA remembers a few dozen");
                Arc::new(List::Changed { earlier, place, own, changes })
            }
            _ => return,
        };
    }
}

impl From<Vec<Recommendation>> for Recommendations {
    fn from(all: Vec<Recommendation>) -> Self {
        Recommendations(Arc::new(List::Whole(all.into())))
    }
}

impl PartialEq for Recommendations {
    fn eq(&self, other: &Self) -> bool {
        self.to_vec() == other.to_vec()
    }
}

impl fmt::Debug for Recommendations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_vec().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::SimTime;
    use proptest::prelude::*;

    fn one(second: u64, replicas: i32) -> Recommendation {
        Recommendation { replicas, at: SimTime::from_secs(second) }
    }

    #[test]
    fn a_list_that_shares_is_the_same_list() {
        let mut plain = vec![one(0, 1)];
        let mut before = Recommendations::from(plain.clone());
        for sync in 1..200u64 {
            let new = one(sync, i32::try_from(sync % 7).expect("small"));
            if plain.len() < 20 {
                plain.push(new);
            } else {
                plain[sync as usize % 20] = new;
            }
            let mut own = Recommendations::from(plain.clone());
            own.share(&before);
            assert_eq!(own.to_vec(), plain);
            let is_whole = matches!(*own.0, List::Whole(_));
            assert_eq!(is_whole, sync % u64::from(MAX_CHANGES + 1) == 0, "sync {sync}");
            before = own;
        }
    }

    proptest! {
        #[test]
        fn whatever_follows_whatever(lists in prop::collection::vec(prop::collection::vec((0..3u64, 0..3i32), 0..4), 2..12)) {
            let plain = lists.iter().map(|list| list.iter().map(|(second, replicas)| one(*second, *replicas)).collect());
            let plain: Vec<Vec<Recommendation>> = plain.collect();
            let mut before = Recommendations::from(plain[0].clone());
            for list in &plain {
                let mut own = Recommendations::from(list.clone());
                own.share(&before);
                prop_assert_eq!(&own.to_vec(), list);
                before = own;
            }
        }
    }
}
