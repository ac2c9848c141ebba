-- How complete is the picture of those who pay?
-- One row: of how many paying customers, and of which share of their known arr, each thing is known; shares from 0 to
-- 1.
select
    count(*) as paying_customers,
    sum(customer.arr) as arr,
    cast(count(*) filter (where customer.picture_complete) as double precision) / nullif(count(*), 0) as complete,
    cast(count(customer.owner_name) as double precision) / nullif(count(*), 0) as with_owner,
    cast(count(customer.arr) as double precision) / nullif(count(*), 0) as with_arr,
    cast(count(*) filter (where customer.zendesk_organizations > 0) as double precision) / nullif(count(*), 0) as with_zendesk,
    cast(count(*) filter (where customer.pendo_accounts > 0) as double precision) / nullif(count(*), 0) as with_pendo,
    cast(sum(customer.arr) filter (where customer.picture_complete) as double precision)
    / nullif(cast(sum(customer.arr) as double precision), 0) as arr_complete,
    cast(sum(customer.arr) filter (where customer.zendesk_organizations > 0) as double precision)
    / nullif(cast(sum(customer.arr) as double precision), 0) as arr_with_zendesk,
    cast(sum(customer.arr) filter (where customer.pendo_accounts > 0) as double precision)
    / nullif(cast(sum(customer.arr) as double precision), 0) as arr_with_pendo
from unified.customers as customer
where customer.lifecycle = 'paying'
