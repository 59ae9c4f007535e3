//! Words about faults, as they cross a control socket.

use super::{Board, Fault, Seen};
use crate::relay::Place;
use serde::{Deserialize, Serialize};
use tinyplane_wire::process::told;

/// A word about faults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Order {
    /// Tell all that are in force.
    List,
    /// Place these.
    Inject(Place, Vec<Fault>),
    /// Take these away; all of them where none is named.
    Heal(Vec<u64>),
}

/// What became of it: the faults that it was about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    #[serde(flatten)]
    pub(crate) seen: Seen,
    /// What a man in the middle had read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) read: String,
}

impl Order {
    /// Does what it says. `admits` says why a link is none of those that are relayed, or carries nothing that could be hurt so.
    pub(crate) async fn obey(
        self,
        board: &Board,
        admits: impl Fn(&Place, &Fault) -> Result<(), String>,
    ) -> Result<Vec<Outcome>, String> {
        let outcome = |seen| Outcome { seen, read: String::new() };
        match self {
            Self::List => Ok(board.list().into_iter().map(outcome).collect()),
            Self::Inject(place, faults) => {
                faults.iter().try_for_each(|fault| admits(&place, fault))?;
                let placed: Result<Vec<u64>, _> =
                    faults.into_iter().map(|fault| board.place(place.clone(), fault)).collect();
                let placed = placed.map_err(|error| told(&error))?;
                board.noticed().await;
                Ok(board.list().into_iter().filter(|seen| placed.contains(&seen.id)).map(outcome).collect())
            }
            Self::Heal(ids) => {
                let known = board.list();
                if let Some(unknown) = ids.iter().find(|id| !known.iter().any(|seen| seen.id == **id)) {
                    return Err(format!("there is no fault {unknown}"));
                }
                let wanted = known.into_iter().filter(|seen| ids.is_empty() || ids.contains(&seen.id));
                let heal = |seen: Seen| {
                    let healed = board.heal(seen.id)?;
                    Some(Outcome { seen: Seen { times: healed.times(), ..seen }, read: healed.read().into() })
                };
                let healed = wanted.filter_map(heal).collect();
                board.noticed().await;
                Ok(healed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn faults_are_placed_listed_and_healed_by_words() {
        let board = Board::new();
        let obey = async |order: Order| {
            let text = serde_json::to_string(&order).unwrap();
            let order: Order = serde_json::from_str(&text).unwrap();
            order.obey(&board, |place, _| if place.name == "moon" { Err("no moon".into()) } else { Ok(()) }).await
        };
        let place: Place = "agent-to-node/node-1".parse().unwrap();
        let faults = vec![Fault::blackhole(), Fault::latency(Duration::from_millis(5))];
        let placed = obey(Order::Inject(place.clone(), faults)).await.unwrap();
        assert_eq!(placed.len(), 2);
        assert_eq!(obey(Order::List).await.unwrap(), placed);
        let text = serde_json::to_string(&placed[1]).unwrap();
        assert_eq!(text, r#"{"id":2,"link":"agent-to-node/node-1","fault":"latency=5ms","times":0}"#);
        assert_eq!(serde_json::from_str::<Outcome>(&text).unwrap(), placed[1]);
        assert_eq!(obey(Order::Heal(vec![7])).await.unwrap_err(), "there is no fault 7");
        assert_eq!(obey(Order::Heal(vec![1])).await.unwrap().len(), 1);
        assert_eq!(obey(Order::Heal(Vec::new())).await.unwrap().len(), 1);
        assert!(obey(Order::List).await.unwrap().is_empty());
        let moon = Place { name: "moon".into(), ..place };
        assert_eq!(obey(Order::Inject(moon, vec![Fault::reset()])).await.unwrap_err(), "no moon");
    }
}
