-- One row per feature, visitor, account and day on which the visitor used the feature for that account.
-- key: tool, account_id, visitor_id, feature_id, day
-- by: day
-- tool text: The tool that counted.
-- account_id text: The account, as that tool names it; empty if the visitor acted for none.
-- visitor_id text: The visitor, as in unified.people, whose person_id it is; empty if the settings leave visitors out.
-- feature_id text: The feature, as that tool names it.
-- day date: The day, in the time zone that the tool counts by.
-- events integer: How often it was used that day, over all browsers and devices.
with counted as (
    select
        coalesce(event.account_id, '') as account_id,
        coalesce(event.visitor_id, '') as visitor_id,
        event.feature_id,
        event.day,
        cast(sum(event.num_events) as bigint) as events
    from pendo.feature_events as event
    where event._deleted_at is null and event.feature_id is not null
    group by coalesce(event.account_id, ''), coalesce(event.visitor_id, ''), event.feature_id, event.day
)

select
    'pendo' as tool,
    counted.account_id,
    case
        when options.people = 'keep' or strpos(counted.visitor_id, '@') = 0 then counted.visitor_id
        else left(sha256(options.people_key || counted.visitor_id), 16)
    end as visitor_id,
    counted.feature_id,
    counted.day,
    counted.events
from counted
cross join settings.options as options
