"""What `onebyte doctor` runs on a board: small scripts over the board's own modules.

Each prints one line of JSON, after whatever the board's modules print. They run in this order and
share their names; none of them writes but the one that tries the flash.
"""

from typing import NamedTuple

__all__ = ["PROBES", "Probe"]


class Probe(NamedTuple):
    """One script: its name, its source, and the longest silence while it runs in seconds."""

    name: str
    source: str
    silence_s: float = 20.0


_FILES = """
import json,gc,sys,os
def say(**values):print(json.dumps(values))
_s=os.statvfs('/')
try:
 import flash_mount
 _p=flash_mount.problem
except (ImportError,AttributeError):_p=''
_left=[n for n in os.listdir('/') if n.endswith('.new')]
_e=''
try:
 with open('/doctor.new','wb') as _f:_f.write(bytes(range(64)))
 with open('/doctor.new','rb') as _f:
  if _f.read()!=bytes(range(64)):_e='what was written reads back as something else'
except OSError as _x:_e=str(_x)
try:os.remove('/doctor.new')
except OSError:pass
say(free=_s[0]*_s[3],total=_s[0]*_s[2],block=_s[0],problem=_p,error=_e,leftover=_left)
"""

_CONFIG = """
from app import settings
from formats import errors
C=B=None
try:
 C=settings.load('config.json')
 _f=settings.find('config.json')
 say(source='sealed %d'%_f[0] if _f else 'config.json',node=C.tenant+'/'+C.device,
 broker=C.broker_host,port=C.broker_port,tls=C.broker_tls,sensor=C.sensor,console=C.console,
 watchdog_ms=C.watchdog_ms,sleep=C.sleep,wake_interval_s=C.wake_interval_s,
 model_path=C.model_path)
except errors.OnebyteError as _x:say(error=str(_x),code=_x.code)
"""

_POWER = """
import board as hardware
from app import keeper
from formats import retained
_p=hardware.make_power()
_m=hardware.make_retained()
_mark=retained.parse_mark(keeper.read(_m))
say(cause=_p.reset_cause() if _p else '',early_ends=_mark[0],
supply_mv=_p.supply_mv() if _p else -1,longest_ms=getattr(_p,'longest_ms',0))
"""

_KERNELS = """
import obchoice
_told=[]
K=None
try:
 K=obchoice.choose(_told.append)
 say(name=K.__name__,version=K.KERNEL_VERSION,told=_told)
except errors.OnebyteError as _x:say(error=str(_x),told=_told)
"""

_UPDATES = """
try:
 from ota import store,product,updates
 _st=store.Store(hardware.make_files(),'/')
 _pr=product.load(_st)
except ImportError:
 say(missing=True)
else:
 _r=_st.read_state()
 _at=updates.current
 if _at is None and _pr is not None and _r is not None and _r.active:
  # Stopped before its start had chosen a slot.
  class _at:
   slot_path=_st.slot_path(_r.active)
   is_frozen=_pr.is_frozen
   is_trial=False
 if _at is not None and C is not None:
  from app import run as _run
  _run.use_slot(C,_at)
 if _pr is None:say(none=True)
 else:
  _d=_pr.device
  _v={'frozen':_pr.is_frozen,'vendor':_d.vendor,'class':_d.product_class}
  try:
   import obed25519
   _v['verifier']='native'
  except ImportError:
   try:
    import obed25519_twin
    _v['verifier']='twin'
   except ImportError:_v['verifier']=''
  if _r is not None:
   for _n in ('active','pending','tries_left','installed_seq','pending_seq','last_bad_seq',
   'fail_reason','root_epoch','security_floor'):_v[_n]=getattr(_r,_n)
  say(**_v)
"""

_BOARD = """
try:
 B=hardware.Board(C) if C else None
 say(made=B is not None,network='ppp' if B and B.ppp is not None else 'wifi' if B and
 B.radio is not None else '')
except (errors.OnebyteError,OSError) as _x:say(made=False,error=str(_x))
"""

_MODEL = """
import hashlib,binascii
from app import loader
gc.collect()
_v={}
try:
 with open(C.model_path,'rb') as _f:_c=_f.read()
except (OSError,AttributeError):_c=b''
_v['bytes']=len(_c)
_v['sha256']=binascii.hexlify(hashlib.sha256(_c).digest()).decode()
try:
 if K is None:raise errors.OnebyteError(errors.KERNEL_VERSION,'no kernels')
 I=loader.parse(_c,K)
 _v['name']=I.name
 _v['rate_mhz']=I.rate_mhz
 if B:M=loader.prove(I,_c,B,C)
 _v['proven']=B is not None
except errors.OnebyteError as _x:
 _v['error']=str(_x)
 _v['code']=_x.code
except OSError as _x:_v['error']=str(_x)
gc.collect()
_v['heap_free']=gc.mem_free()
_v['heap']=gc.mem_free()+gc.mem_alloc()
say(**_v)
"""

_SENSOR = """
import time
from array import array
def _watch(source,ms):
 n=source.n_channels
 ring=array('h',bytes(128*n))
 first=None
 sums=[0]*n
 squares=[0]*n
 rows=0
 error=''
 start=time.ticks_ms()
 while time.ticks_diff(time.ticks_ms(),start)<ms:
  try:
   got=source.read_into(ring,0,64)
   error=''
  except OSError as x:
   error=str(x.args[1] if len(x.args)>1 else x)
   got=0
  if rows==0 and got:first=[ring[i] for i in range(n)]
  for r in range(got):
   for i in range(n):
    v=ring[r*n+i]-first[i]
    sums[i]+=v
    squares[i]+=v*v
  rows+=got
  if not got:time.sleep_ms(10)
 std=[]
 for i in range(n if rows else 0):
  std.append(round(100*max(0,squares[i]/rows-(sums[i]/rows)**2)**0.5)/100)
 mean=[round(first[i]+sums[i]/rows) for i in range(n)] if rows else []
 return {'rows':rows,'error':error,'std':std,'mean':mean,'ms':ms,'overruns':source.overruns,
 'gaps':source.gaps,'rate_mhz':source.rate_mhz,'lsb_nano':list(getattr(source,'lsb_nano',()))}
if B is None:say(none=True)
else:say(**_watch(B.source,1500))
"""

_NETWORK = """
import random
from app import links
L=None
if B is None or (B.ppp is None and B.radio is None):say(none=True)
else:
 try:
  L=links.make_link(C,B,random.randint)
  _t=time.ticks_ms()
  _w=C.ppp_deadline_ms if B.ppp is not None else C.wifi_fast_ms+C.wifi_full_ms
  _up=False
  while not _up and time.ticks_diff(time.ticks_ms(),_t)<_w+2000 and not L.failures:
   _up=L.step(time.ticks_ms())
   time.sleep_ms(50)
  say(up=bool(_up),ms=time.ticks_diff(time.ticks_ms(),_t),error=L.last_error)
 except errors.OnebyteError as _x:say(up=False,error=str(_x))
"""

_DNS = """
if L is None or not _up:say(none=True)
else:
 import socket
 try:say(address=str(socket.getaddrinfo(C.broker_host,C.broker_port)[0][-1][0]))
 except OSError as _x:say(error=str(_x))
"""

_CLOCK = """
if B is None:say(none=True)
else:
 B.clock.read()
 say(quality=B.clock.quality,time_s=B.clock.time_s)
"""

_BROKER = """
if L is None or not _up:say(none=True)
else:
 from app.client import make_client
 _t=time.ticks_ms()
 try:
  _n=make_client(C)
  _n.connect()
  _n.disconnect()
  say(ms=time.ticks_diff(time.ticks_ms(),_t))
 except errors.OnebyteError as _x:say(error=str(_x),code=_x.code)
 except OSError as _x:say(error=str(_x),code=0)
if L is not None:L.close()
"""

PROBES = (
    Probe("files", _FILES),
    Probe("config", _CONFIG),
    Probe("power", _POWER),
    Probe("kernels", _KERNELS),
    Probe("updates", _UPDATES),
    Probe("board", _BOARD),
    Probe("model", _MODEL, 60.0),
    Probe("sensor", _SENSOR),
    Probe("network", _NETWORK, 180.0),
    Probe("dns", _DNS, 60.0),
    Probe("clock", _CLOCK),
    Probe("broker", _BROKER, 120.0),
)
