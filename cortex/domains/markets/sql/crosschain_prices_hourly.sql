-- Hourly prices as they are, one row an hour and asset: the largest pull that the kit knows.
select
  case when is_native then symbol else token_address end as asset,
  cast(hour as varchar) as hour,
  price
from crosschain.price.ez_prices_hourly
where not is_imputed
  and hour >= :start and hour < :end
  and ((is_native and symbol in (:natives)) or (not is_native and token_address in (:tokens)))
order by 1, 2
