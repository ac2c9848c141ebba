-- One row per Jira issue, with the feature it serves.
-- key: tool, issue_id
-- tool text: The tool that holds the issue.
-- issue_id text: The issue's id; it stays when the issue moves.
-- issue_key text: The issue's key; it changes when the issue moves to another project.
-- summary text: The issue's title.
-- issue_type text: Type of issue, such as Epic or Bug.
-- is_feature boolean: Whether the type is one of those that the settings call features.
-- is_bug boolean: Whether the type is Bug.
-- feature_id text: The feature it serves: itself, else the nearest of its parents (up to three levels up); null if
--   none.
-- parent_id text: Id of the parent issue.
-- project_key text: Key of the issue's project.
-- product_area text: Product area, from the field that the settings name.
-- status text: Status.
-- status_category text: Category of the status: new, indeterminate or done.
-- is_done boolean: Whether the status is in category done.
-- is_declined boolean: Whether it is done with a resolution that the settings call declined.
-- resolution text: Resolution, once the issue is resolved.
-- priority text: Priority.
-- assignee_name text: Name of the assignee.
-- assignee_email text: E-mail address of the assignee; null if hidden.
-- customer text: The customer who asked, as somebody typed it, from the field that the settings name.
-- customer_id text: That customer, if the field holds the id of its Salesforce account, or a name that no other one
--   has.
-- created_at timestamp: When the issue was created (UTC).
-- updated_at timestamp: When the issue was last changed (UTC).
-- resolved_at timestamp: When the issue was resolved (UTC); null while it is not.
-- done_at timestamp: When it last came into status category done (UTC); null if it is not there.
-- due_date date: Due date.
-- fix_version text: Name of the first version in which the issue ships.
-- release_date date: Day on which that version is, or was, released.
-- lead_time_days double: Days from creation to the last change into done; null if not done.
-- url text: Address of the issue in its tool.
with alive as (
    select
        issue.id,
        issue.parent_id,
        coalesce(lower(issue.issue_type) in (select lower(type.name) from settings.feature_types as type), false)
            as is_feature
    from jira.issues as issue
    where issue._deleted_at is null
),

ancestry as (
    select
        alive.id,
        alive.is_feature,
        case
            when alive.is_feature then alive.id
            when parent.is_feature then parent.id
            when grandparent.is_feature then grandparent.id
            when ancestor.is_feature then ancestor.id
        end as feature_issue_id
    from alive
    left join alive as parent on parent.id = alive.parent_id
    left join alive as grandparent on grandparent.id = parent.parent_id
    left join alive as ancestor on ancestor.id = grandparent.parent_id
),

-- An id of 15 characters is the first 15 of one of 18. A name has to be one customer's only. Pendo's names do not count:
-- a customer whose account there could not be told to be his would have a namesake in himself.
named as (
    select
        issue.id,
        company.customer_id
    from jira.issues as issue
    join unified.customer_records as company on lower(trim(company.name, ' ')) = lower(trim(issue.customer, ' '))
    where company.tool <> 'pendo'
    union all
    select
        issue.id,
        company.customer_id
    from jira.issues as issue
    join unified.customer_records as company on left(company.record_id, 15) = left(trim(issue.customer, ' '), 15)
    where
        company.tool = 'salesforce'
        and company.record_type = 'account'
        and length(trim(issue.customer, ' ')) in (15, 18)
),

askers as (
    select
        named.id,
        min(named.customer_id) as customer_id
    from named
    group by named.id
    having min(named.customer_id) = max(named.customer_id)
),

timed as (
    select
        issue.id,
        coalesce(issue.status_category = 'done', false) as is_done,
        case
            when issue.status_category = 'done' then coalesce(issue.status_category_changed_at, issue.resolved_at)
        end as done_at
    from jira.issues as issue
)

select
    'jira' as tool,
    issue.id as issue_id,
    issue.key as issue_key,
    issue.summary,
    issue.issue_type,
    ancestry.is_feature,
    coalesce(lower(issue.issue_type) = 'bug', false) as is_bug,
    'jira:' || ancestry.feature_issue_id as feature_id,
    issue.parent_id,
    issue.project_key,
    issue.product_area,
    issue.status,
    issue.status_category,
    timed.is_done,
    timed.is_done
    and coalesce(
        lower(issue.resolution) in (select lower(declined.name) from settings.declined_resolutions as declined), false
    ) as is_declined,
    issue.resolution,
    issue.priority,
    issue.assignee_name,
    lower(issue.assignee_email) as assignee_email,
    nullif(trim(issue.customer, ' '), '') as customer,
    askers.customer_id,
    issue.created as created_at,
    issue.updated as updated_at,
    issue.resolved_at,
    timed.done_at,
    issue.due_date,
    json_extract_string(cast(issue.fix_versions as json), '$[0].name') as fix_version,
    cast(nullif(json_extract_string(cast(issue.fix_versions as json), '$[0].releaseDate'), '') as date) as release_date,
    -- To the second: below that, the two databases' floating point differs.
    (
        cast(epoch(date_trunc('second', timed.done_at)) as double)
        - cast(epoch(date_trunc('second', issue.created)) as double)
    ) / 86400 as lead_time_days,
    rtrim(place.url, '/') || '/browse/' || issue.key as url
from jira.issues as issue
join ancestry on ancestry.id = issue.id
join timed on timed.id = issue.id
left join askers on askers.id = issue.id
left join settings.tools as place on place.tool = 'jira'
