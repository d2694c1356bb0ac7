from .attention import use_on_cpu as use_on_cpu
from .products import linear as linear
from .products import product as product
from .products import product_into as product_into
from .products import use_products_on_cpu as use_products_on_cpu
