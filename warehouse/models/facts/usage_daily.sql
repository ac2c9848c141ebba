-- One row per customer and day on which somebody of it used the product.
-- key: customer_id, day
-- by: day, customer_id
-- customer_id text: The customer.
-- day date: The day, in the time zone that the tool counts by.
-- active_users integer: Different visitors who used any feature; null if the settings leave visitors out. Those of several
--   days are fewer than their sum: count them in usage.
-- events integer: How often features were used.
with visitors as (
    select
        record.customer_id,
        usage.day,
        usage.visitor_id,
        sum(usage.events) as events
    from unified.usage as usage
    join unified.customer_records as record
        on record.tool = usage.tool and record.record_type = 'account' and record.record_id = usage.account_id
    group by record.customer_id, usage.day, usage.visitor_id
)

select
    visitors.customer_id,
    visitors.day,
    nullif(count(*) filter (where visitors.visitor_id <> ''), 0) as active_users,
    cast(sum(visitors.events) as bigint) as events
from visitors
group by visitors.customer_id, visitors.day
