//! Who somebody is: SelfSubjectReview and TokenReview.

use crate::authn::{Authenticator, Caller};
use serde_json::{Value, json};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::status::{self, Status};

pub(super) fn of_self(caller: &Caller, body: &mut Value, clock: &Clock) -> Value {
    body["metadata"] = json!({"creationTimestamp": clock.timestamp()});
    json!({"userInfo": caller.user_info()})
}

pub(super) fn of_token(authenticator: &Authenticator, body: &Value) -> status::Result<Value> {
    let token = body["spec"]["token"].as_str().unwrap_or_default();
    if token.is_empty() {
        return Err(Status::bad_request("token is required for TokenReview in authentication"));
    }
    let audiences = body["spec"]["audiences"].as_array().into_iter().flatten();
    let audiences: Vec<String> = audiences.filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(match authenticator.review(token, &audiences) {
        Ok(review) => {
            let mut status = json!({"authenticated": true, "user": review.caller.user_info()});
            if !review.audiences.is_empty() {
                status["audiences"] = json!(review.audiences);
            }
            status
        }
        Err(reason) => json!({"user": {}, "error": reason}),
    })
}
