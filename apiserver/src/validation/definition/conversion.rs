//! How a definition says that objects come from one version into another. What is told of a webhook has the paths of
//! upstream's own form, in which it stands beside the strategy.

use super::super::field::{Errors, child, list, text};
use super::super::webhook;
use serde_json::Value;

const PATH: &str = "spec.conversion";

pub(super) fn check(conversion: &Value, errors: &mut Errors) {
    if conversion.is_null() {
        return;
    }
    errors.one_of(child(PATH, "strategy"), &conversion["strategy"], &["None", "Webhook"]);
    let (client, reviews) =
        (&conversion["webhook"]["clientConfig"], &conversion["webhook"]["conversionReviewVersions"]);
    let (client_path, reviews_path) = (child(PATH, "webhookClientConfig"), child(PATH, "conversionReviewVersions"));
    if conversion["strategy"] != "Webhook" {
        let told = "should not be set when strategy is not set to Webhook";
        if !client.is_null() {
            errors.forbidden(client_path, told);
        }
        if !list(reviews).is_empty() {
            errors.forbidden(reviews_path, told);
        }
        return;
    }
    if client.is_null() {
        errors.required(client_path, "required when strategy is set to Webhook");
    } else if client["url"].is_null() == client["service"].is_null() {
        errors.required(client_path, "exactly one of url or service is required");
    } else if client["service"].is_null() {
        webhook::check_url(text(&client["url"]), &child(&client_path, "url"), errors);
    } else {
        webhook::check_service(&client["service"], &child(&client_path, "service"), errors);
    }
    if list(reviews).is_empty() {
        errors.required(reviews_path, "");
    } else {
        webhook::check_reviews(reviews, &reviews_path, errors);
    }
}
