-- Dollars that were swapped on Near's exchanges each day, where the price of what was sold is known.
select
  cast(cast(block_timestamp as date) as varchar) as date,
  sum(amount_in_usd) as swaps
from near.defi.ez_dex_swaps
where block_timestamp >= :start and block_timestamp < :end
  and amount_in_usd is not null
group by 1
order by 1
