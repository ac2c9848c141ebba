-- One row per feature: a Jira issue of the types that the settings call features.
-- key: feature_id
-- feature_id text: The feature: jira: and the id of its issue.
-- name text: The issue's title.
-- product_area text: Product area, from the field that the settings name.
-- status text: requested, planned (not begun, with a due date or a version), in_progress, shipped or declined.
-- jira_key text: Key of the issue.
-- jira_url text: Address of the issue in Jira.
-- owner text: Name of the issue's assignee; null if there is none.
-- owner_email text: E-mail address of that person; null if hidden.
-- requested_at timestamp: When the issue was created (UTC).
-- shipped_at timestamp: Day on which its first version was released, else the last change into done (UTC); null unless
--   shipped.
-- target_date date: Due date, else the day on which its first version is to be released.
-- lead_time_days double: Days from creation to the last change into done, shipped or declined; null if not done.
with placed as (
    select
        issue.issue_id,
        case
            when issue.is_declined then 'declined'
            when issue.is_done then 'shipped'
            when issue.status_category = 'indeterminate' then 'in_progress'
            when issue.due_date is not null or issue.fix_version is not null then 'planned'
            else 'requested'
        end as status
    from unified.issues as issue
    where issue.is_feature
)

select
    issue.feature_id,
    issue.summary as name,
    issue.product_area,
    placed.status,
    issue.issue_key as jira_key,
    issue.url as jira_url,
    issue.assignee_name as owner,
    issue.assignee_email as owner_email,
    issue.created_at as requested_at,
    case
        when placed.status <> 'shipped' then null
        when issue.release_date <= clock.today then cast(issue.release_date as timestamptz)
        else issue.done_at
    end as shipped_at,
    coalesce(issue.due_date, issue.release_date) as target_date,
    issue.lead_time_days
from unified.issues as issue
join placed on placed.issue_id = issue.issue_id
cross join settings.clock as clock
